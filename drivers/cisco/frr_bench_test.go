package cisco

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/steer"
)

// The benchmarks of this file move prefixes on a real FRR over SSH, from the
// driver's being told to the last route in the kernel with the new next hop
// alone. Each row has the metric "ratio": how many times as long as routesteer's
// it takes.

// BenchmarkFRRDrain moves a server's four prefixes: what a drain or a verdict
// waits for.
func BenchmarkFRRDrain(b *testing.B) {
	for _, keep := range []bool{false, true} {
		b.Run(fmt.Sprintf("keep_session=%t", keep), func(b *testing.B) {
			r, prefixes := newFRR(b), hosts(4)
			r.lay(b, prefixes, web1)
			cfg := r.cfg()
			cfg.KeepSession = keep
			d := r.open(cfg, prefixes...)
			defer func() { d.Close() }()
			if _, err := d.Routes(b.Context()); err != nil { // the controller has looked before
				b.Fatal(err)
			}
			r.contest(b, prefixes, func(from, to []steer.NextHop) {
				if !keep {
					b.StopTimer()
					d.Close()
					d = r.open(cfg, prefixes...)
					b.StartTimer()
				}
				if _, err := d.Apply(b.Context(), []steer.Change{moving(prefixes, from, to)}); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// BenchmarkFRRMany moves 500 prefixes, and beside that has vtysh read the same
// lines at once, which nobody verifies between the new and the old: routes are
// absent for a time then.
func BenchmarkFRRMany(b *testing.B) {
	r, prefixes := newFRR(b), hosts(500)
	r.lay(b, prefixes, web1)
	var ours time.Duration
	b.Run("routesteer", func(b *testing.B) {
		cfg := r.cfg()
		cfg.KeepSession = true
		d := r.open(cfg, prefixes...)
		defer d.Close()
		gaps := r.contest(b, prefixes, func(from, to []steer.NextHop) {
			if _, err := d.Apply(b.Context(), []steer.Change{moving(prefixes, from, to)}); err != nil {
				b.Fatal(err)
			}
		})
		if gaps > 0 {
			b.Errorf("%d times a prefix was without a route", gaps)
		}
		ours = b.Elapsed() / time.Duration(b.N)
		b.ReportMetric(1, "ratio")
	})
	b.Run("vtysh", func(b *testing.B) {
		gaps := r.contest(b, prefixes, func(from, to []steer.NextHop) {
			var lines []string
			for _, p := range prefixes {
				lines = append(lines,
					fmt.Sprintf("ip route %s %s tag %d", p, to[0].Address, frrTag),
					fmt.Sprintf("no ip route %s %s tag %d", p, from[0].Address, frrTag))
			}
			r.configure(b, lines...)
		})
		b.ReportMetric(float64(gaps)/float64(b.N), "absences/op")
		if ours > 0 {
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(ours), "ratio")
		}
	})
}

// contest moves the prefixes from web1 to web2 and back, and returns how often
// one of them was without a route. They end at web1.
func (r *frrRouter) contest(b *testing.B, prefixes []netip.Prefix, move func(from, to []steer.NextHop)) (gaps int) {
	b.Helper()
	news := r.listen(b)
	defer news.close()
	from, to := web1, web2
	for b.Loop() {
		move(from, to)
		gaps += news.arrival(b, prefixes, to)
		from, to = to, from
	}
	if &from[0] == &web2[0] {
		move(web2, web1)
		gaps += news.arrival(b, prefixes, web1)
	}
	return gaps
}

// arrival waits until all prefixes have the next hop alone, and returns how
// often one of them was without a route meanwhile.
func (n *routeNews) arrival(b *testing.B, prefixes []netip.Prefix, to []steer.NextHop) (gaps int) {
	b.Helper()
	left := map[netip.Prefix]bool{}
	for _, p := range prefixes {
		left[p] = true
	}
	limit := time.After(time.Minute)
	for len(left) > 0 {
		select {
		case u := <-n.updates:
			switch p := destination(u); {
			case !left[p]:
			case u.Type == unix.RTM_DELROUTE:
				gaps++
			case len(u.MultiPath) == 0 && u.Gw.String() == to[0].Address.String():
				delete(left, p)
			}
		case <-limit:
			b.Fatalf("%d of %d prefixes did not move to %s", len(left), len(prefixes), to[0].Address)
		}
	}
	return gaps
}
