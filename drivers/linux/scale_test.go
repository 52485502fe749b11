package linux

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/steer"
)

// many returns n prefixes of the family: /32 of 10.0.0.0/8, or /64.
func many(n int, six bool) []netip.Prefix {
	var out []netip.Prefix
	for i := range n {
		hi, mid, lo := byte(i>>16), byte(i>>8), byte(i)
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, hi, mid, lo}), 32)
		if six {
			p = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0, 2, 0, hi, mid, lo}), 64)
		}
		out = append(out, p)
	}
	return out
}

func all(op steer.Op, prefixes []netip.Prefix, to []steer.NextHop) []steer.Change {
	var changes []steer.Change
	for _, p := range prefixes {
		changes = append(changes, steer.Change{Op: op, Prefixes: []netip.Prefix{p}, To: to})
	}
	return changes
}

func TestThousandsOfPrefixesMoveAtOnce(t *testing.T) {
	for _, test := range []struct {
		n        int
		six      bool
		from, to string
	}{
		{1000, false, "192.0.2.11", "192.0.2.12"},
		{1000, true, "2001:db8:1::11", "2001:db8:1::12"},
		{10000, false, "192.0.2.11", "192.0.2.11 198.51.100.13*2"},
	} {
		t.Run(fmt.Sprintf("%d prefixes from %s to %s", test.n, test.from, test.to), func(t *testing.T) {
			prefixes := many(test.n, test.six)
			d := newRouter(t).open(defaults, prefixes...)
			mustApply(t, d, all(steer.Add, prefixes, hops(t, test.from))...)
			mustApply(t, d, all(steer.Replace, prefixes, hops(t, test.to))...)
			routes, err := d.Routes(t.Context())
			if err != nil || len(routes) != test.n {
				t.Fatalf("Routes tells %d routes: %v", len(routes), err)
			}
			want := steer.FormatNextHops(hops(t, test.to))
			for _, r := range routes {
				if got := steer.FormatNextHops(r.NextHops); got != want || r.Foreign || r.Stray {
					t.Fatalf("%s is %+v, want via %s", r.Prefix, r, want)
				}
			}
		})
	}
}

func TestRefusalsAmongThousandsAreEachNamed(t *testing.T) {
	prefixes := many(1000, false)
	d := newRouter(t).open(defaults, prefixes...)
	changes := all(steer.Add, prefixes, hops(t, "192.0.2.11"))
	for i := 0; i < len(changes); i += 2 {
		changes[i].To = hops(t, "10.255.255.1")
	}
	n, err := d.Apply(t.Context(), changes)
	if n != 500 || err == nil {
		t.Fatalf("Apply took %d changes: %v", n, err)
	}
	if got := strings.Count(err.Error(), "is not on a connected network"); got != 500 {
		t.Errorf("%d refusals are told, want 500", got)
	}
	if routes, err := d.Routes(t.Context()); len(routes) != 500 || err != nil {
		t.Errorf("Routes tells %d routes: %v, want 500", len(routes), err)
	}
}

func TestApplyStopsSoonAfterItsContextEnds(t *testing.T) {
	prefixes := many(10000, false)
	d := newRouter(t).open(defaults, prefixes...)
	changes := all(steer.Add, prefixes, hops(t, "192.0.2.11"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	start := time.Now()
	n, err := d.Apply(ctx, changes)
	if took := time.Since(start); took > 500*time.Millisecond {
		t.Errorf("Apply took %v", took)
	}
	if n == len(changes) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Apply took %d of %d changes: %v", n, len(changes), err)
	}
	routes, err := d.Routes(t.Context())
	if err != nil || len(routes) < n || len(routes) > n+batchCount {
		t.Errorf("Apply says %d changes took effect, the kernel has %d routes: %v", n, len(routes), err)
	}
	mustApply(t, d, changes...)
}

// BenchmarkMove moves all prefixes between two next hops, and reads back, as
// a controller does: time is from the verdict to the proof.
func BenchmarkMove(b *testing.B) {
	for _, test := range []struct {
		n, others int
		six       bool
	}{
		{4, 0, false}, {4, 0, true}, {1000, 0, false}, {1000, 0, true}, {10000, 0, false}, {4, 100000, false},
	} {
		name := fmt.Sprintf("prefixes=%d/others=%d/IPv6=%v", test.n, test.others, test.six)
		b.Run(name, func(b *testing.B) {
			r := newRouter(b)
			prefixes := many(test.n, test.six)
			d := r.open(defaults, prefixes...)
			var feed strings.Builder
			for i := range test.others {
				fmt.Fprintf(&feed, "route add 11.%s/32 via 192.0.2.20 proto bgp\n", octets(i))
			}
			r.batch(feed.String())
			states := [][]steer.NextHop{hops(b, "192.0.2.11"), hops(b, "192.0.2.12")}
			if test.six {
				states = [][]steer.NextHop{hops(b, "2001:db8:1::11"), hops(b, "2001:db8:1::12")}
			}
			plans := [][]steer.Change{all(steer.Replace, prefixes, states[0]), all(steer.Replace, prefixes, states[1])}
			i := 0
			for b.Loop() {
				mustApply(b, d, plans[i%2]...)
				if routes, err := d.Routes(b.Context()); err != nil || len(routes) != test.n {
					b.Fatalf("Routes tells %d routes: %v", len(routes), err)
				}
				i++
			}
		})
	}
}

// What a driver of 100,000 prefixes keeps, and Routes gives, must leave room for
// the rest of the program in 150 MiB.
func TestHundredThousandPrefixesTakeLittleMemory(t *testing.T) {
	const most = 32 << 20
	prefixes := many(100000, false)
	before := heap()
	d := newRouter(t).openCohorts(defaults, prefixes)
	apply(t, d, whole(steer.Add, prefixes, hops(t, "192.0.2.11")))
	routes, err := d.Routes(t.Context())
	if err != nil || len(routes) != len(prefixes) {
		t.Fatalf("Routes tells %d routes: %v", len(routes), err)
	}
	used := heap() - before
	t.Logf("the driver, its look and the routes take %d KiB", used>>10)
	if used > most {
		t.Errorf("the driver, its look and the routes take %d KiB, want at most %d", used>>10, most>>10)
	}
	runtime.KeepAlive(routes)
	runtime.KeepAlive(prefixes)
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
