package steer

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// TestNoFieldOfAWantIsOverlooked where it is decided whether what is wanted has changed.
func TestNoFieldOfAWantIsOverlooked(t *testing.T) {
	others := map[string]Want{
		"Servers":  {Servers: []topology.ServerName{"web1"}},
		"NextHops": {NextHops: []NextHop{{Address: netip.MustParseAddr("192.0.2.11"), Weight: 1}}},
		"Withdraw": {Withdraw: true},
		"Cause":    {Cause: Settled},
		"Why":      {Why: "web1 is primary"},
		"Path":     {Path: "web1 is reached by 198.51.100.11"},
		"Since":    {Since: time.Unix(1, 0)},
		"Next":     {Next: time.Unix(1, 0)},
		"Frozen":   {Frozen: true},
		"Failure":  {Failure: true},
		"Keep":     {Keep: []netip.Addr{netip.MustParseAddr("192.0.2.11")}},
		"had":      {had: []topology.ServerName{"web1"}},
		"taken":    {taken: []netip.Addr{netip.MustParseAddr("192.0.2.11")}},
	}
	for field := range reflect.TypeFor[Want]().Fields() {
		other, known := others[field.Name]
		if !known || other.equal(&Want{}) || !other.equal(&other) {
			t.Errorf("a Want with another %s is the same, or nobody has tried: %t", field.Name, known)
		}
	}
}
