package linux

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/steer"
)

func TestRoutesByNexthopObjectsAreReadAndNotOverwritten(t *testing.T) {
	for _, compat := range []string{"0", "1"} {
		t.Run("nexthop_compat_mode="+compat, func(t *testing.T) {
			r := newRouter(t)
			r.sysctl("ipv4/nexthop_compat_mode", compat)
			d := r.open(defaults, vip4, vip6)
			r.ip("nexthop add id 1 via 192.0.2.11 dev lan0")
			r.ip("nexthop add id 2 via 192.0.2.12 dev lan0")
			r.ip("nexthop add id 3 group 1/2,5")
			r.ip("nexthop add id 6 via 2001:db8:1::11 dev lan0")
			r.ip("route add 203.0.113.32/27 nhid 3 proto static")
			r.ip("-6 route add 2001:db8:64::/64 nhid 6 proto static")
			want := []string{
				"203.0.113.32/27 via 192.0.2.11 weight 1, 192.0.2.12 weight 5 FOREIGN | proto static metric 0 nhid 3 dev lan0",
				"2001:db8:64::/64 via 2001:db8:1::11 FOREIGN | proto static metric 1024 nhid 6 dev lan0",
			}
			wantLines(t, d, want...)
			for _, op := range []steer.Op{steer.Add, steer.Replace} {
				changes := []steer.Change{
					{Op: op, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.13")}, {Op: op, Prefixes: []netip.Prefix{vip6}, To: hops(t, "2001:db8:1::13")},
				}
				if n, err := d.Apply(t.Context(), changes); n != 0 || err == nil || !strings.Contains(err.Error(), "nhid 3") {
					t.Errorf("%s took %d changes: %v", op, n, err)
				}
			}
			wantLines(t, d, want...)

			adopt := []steer.Change{
				{Op: steer.Replace, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.13"), Adopt: true},
				{Op: steer.Replace, Prefixes: []netip.Prefix{vip6}, To: hops(t, "2001:db8:1::13"), Adopt: true},
			}
			mustApply(t, d, adopt...)
			wantLines(t, d,
				"203.0.113.32/27 via 192.0.2.13 | proto 82 metric 0 dev lan0",
				"2001:db8:64::/64 via 2001:db8:1::13 | proto 82 metric 1024 dev lan0")
		})
	}
}

func TestOurRoutesByNexthopObjectsAreStrayAndReplaced(t *testing.T) {
	for _, compat := range []string{"0", "1"} {
		t.Run("nexthop_compat_mode="+compat, func(t *testing.T) {
			r := newRouter(t)
			r.sysctl("ipv4/nexthop_compat_mode", compat)
			d := r.open(defaults, vip4, vip6)
			r.ip("nexthop add id 1 via 192.0.2.11 dev lan0")
			r.ip("nexthop add id 2 blackhole")
			r.ip("nexthop add id 6 via 2001:db8:1::11 dev lan0")
			r.ip("route add 203.0.113.32/27 nhid 1 proto 82")
			r.ip("route add 203.0.113.32/27 nhid 2 proto 82 metric 7")
			r.ip("-6 route add 2001:db8:64::/64 nhid 6 proto 82 metric 7")
			wantLines(t, d,
				"203.0.113.32/27 STRAY | blackhole proto 82 metric 7 nhid 2",
				"203.0.113.32/27 via 192.0.2.11 STRAY | proto 82 metric 0 nhid 1 dev lan0",
				"2001:db8:64::/64 via 2001:db8:1::11 STRAY | proto 82 metric 7 nhid 6 dev lan0")
			mustApply(t, d,
				steer.Change{Op: steer.Replace, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.11")},
				steer.Change{Op: steer.Replace, Prefixes: []netip.Prefix{vip6}, To: hops(t, "2001:db8:1::11")})
			wantLines(t, d,
				"203.0.113.32/27 via 192.0.2.11 | proto 82 metric 0 dev lan0",
				"2001:db8:64::/64 via 2001:db8:1::11 | proto 82 metric 1024 dev lan0")
		})
	}
}
