package bgp

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/routesteer/routesteer/steer"
)

// BenchmarkMove moves prefixes to and fro: the time until a router has been sent
// all of it, and the UPDATEs that it took.
func BenchmarkMove(b *testing.B) {
	for _, n := range []int{4, 10_000, 100_000} {
		b.Run(fmt.Sprintf("%d prefixes", n), func(b *testing.B) {
			p := newRouter(b).listen(b)
			prefixes := many(n)
			host := NewHost(b.TempDir(), quiet())
			defer host.Close()
			d, err := host.Open(site(nil), vips(prefixes...))
			if err != nil {
				b.Fatal(err)
			}
			hops := [][]steer.NextHop{to(web1), to(web2)}
			move := func(i int) {
				c := steer.Change{Op: steer.Replace, Prefixes: prefixes, To: hops[i%2]}
				if _, err := d.Apply(context.Background(), []steer.Change{c}); err != nil {
					b.Fatal(err)
				}
			}
			move(1)
			p.accept(modern()...)
			p.count(n, web2)
			updates := 0
			var applied time.Duration
			b.ResetTimer()
			for i := range b.N {
				start := time.Now()
				move(i)
				applied += time.Since(start)
				updates += p.count(n, hops[i%2][0].Address)
			}
			b.ReportMetric(float64(updates)/float64(b.N), "UPDATEs/move")
			b.ReportMetric(float64(applied.Milliseconds())/float64(b.N), "ms-in-Apply/move")
		})
	}
}

// BenchmarkLook reads the table back, as is done after each move.
func BenchmarkLook(b *testing.B) {
	newRouter(b)
	host := NewHost(b.TempDir(), quiet())
	defer host.Close()
	prefixes := many(100_000)
	d, err := host.Open(site(nil), vips(prefixes...))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := d.Apply(context.Background(), []steer.Change{{Op: steer.Add, Prefixes: prefixes, To: to(web1)}}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if routes, err := d.Routes(context.Background()); err != nil || len(routes) != len(prefixes) {
			b.Fatal(len(routes), err)
		}
	}
}
