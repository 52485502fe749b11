package whatif_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/whatif"
	"github.com/routesteer/routesteer/topology"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func never() bool { return false }

// site parses a file as an operator would write it.
func site(t testing.TB, text string) *topology.Site {
	t.Helper()
	parsed, err := topology.Parse("site.yaml", []byte(text))
	if err != nil {
		t.Fatalf("the test's own site is bad:\n%v", err)
	}
	return parsed
}

// large is a site of VIPs with one primary each; all other servers are backup.
func large(t testing.TB, servers, vips int) *topology.Site {
	var b strings.Builder
	b.WriteString("servers:\n")
	for i := range servers {
		fmt.Fprintf(&b, "  web%d: 192.0.%d.%d\n", i, 2+i/250, 1+i%250)
	}
	b.WriteString("routers: {edge: {linux: {}}}\nvips:\n")
	for i := range vips {
		fmt.Fprintf(&b, "- {prefix: 10.64.%d.%d, primary: web%d}\n", i>>8, i&255, i%servers)
	}
	return site(t, b.String())
}

// BenchmarkLosses measures trying the loss of every server, and of every two.
func BenchmarkLosses(b *testing.B) {
	for _, c := range []struct{ servers, vips, losses int }{{4, 8, 2}, {50, 1000, 2}, {50, 10_000, 1}, {50, 10_000, 2}, {1000, 2000, 1}} {
		b.Run(fmt.Sprintf("servers=%d/vips=%d/losses=%d", c.servers, c.vips, c.losses), func(b *testing.B) {
			s := large(b, c.servers, c.vips)
			world := whatif.Fresh(s, noon)
			for b.Loop() {
				if _, err := world.Simulate(api.SimulateRequest{Losses: c.losses}, never); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
