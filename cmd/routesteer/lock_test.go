package main

import (
	"fmt"
	"os"
	"testing"
)

func TestOneControllerRunsInANetworkNamespace(t *testing.T) {
	name := fmt.Sprintf("@routesteer-test-%d", os.Getpid())
	first, err := lockNamespace(name)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockNamespace(name)
	want := fmt.Sprintf("another routesteer controller runs in this network namespace (pid %d): stop it first", os.Getpid())
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := lockNamespace(name)
	if err != nil {
		t.Fatalf("the first has gone, and yet: %v", err)
	}
	again.Close()
}
