package controller_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/routesteer/routesteer/internal/netns"
)

func TestMain(m *testing.M) {
	if err := netns.Enter(); err != nil { // for the benchmark
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
