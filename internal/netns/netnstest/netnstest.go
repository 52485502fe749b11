// Package netnstest makes network namespaces for tests.
package netnstest

import (
	"testing"

	"github.com/routesteer/routesteer/internal/netns"
)

// New makes a namespace that ends with the test.
func New(t testing.TB, name string) *netns.Namespace {
	t.Helper()
	ns, err := netns.New(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ns.Close(); err != nil {
			t.Error(err)
		}
	})
	return ns
}
