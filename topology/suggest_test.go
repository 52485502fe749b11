package topology_test

import (
	"slices"
	"testing"

	"github.com/routesteer/routesteer/topology"
)

func TestNearestKnowsASlipFromAnotherName(t *testing.T) {
	for _, c := range []struct {
		typed string
		names []string
		want  []string
	}{
		{"wbe1", []string{"web1", "mail"}, []string{"web1"}},
		{"we1", []string{"web1", "mail"}, []string{"web1"}},
		{"webb1", []string{"web1", "mail"}, []string{"web1"}},
		{"web3", []string{"web2", "web1"}, []string{"web1", "web2"}},
		{"mail", []string{"web1"}, nil},
		{"", []string{"web1"}, nil},
		{"web9", []string{"web1", "web2", "web3", "web4"}, nil}, // all of them are no help
	} {
		if got := topology.Nearest(c.typed, c.names); !slices.Equal(got, c.want) {
			t.Errorf("%q among %v: got %v, want %v", c.typed, c.names, got, c.want)
		}
	}
}
