package probe

import (
	"net/netip"
	"testing"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// TestAWitnessAnswersUntilWeAreCutOff cuts the controller's own cable: nothing is
// heard meanwhile, and what is heard afterwards says that there was a silence.
func TestAWitnessAnswersUntilWeAreCutOff(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	r := l.prober()
	site := l.site(topology.Check{TCP: &topology.TCP{Port: 80}})
	witness := netip.MustParseAddr("192.0.2.12") // web2 is none of the site's servers for this
	site.Servers = site.Servers[:1]
	for i := range site.VIPs {
		site.VIPs[i].Tiers[0].Servers = site.VIPs[i].Tiers[0].Servers[:1]
	}
	site.Policy.Witness = []netip.Addr{witness}
	r.set(site)
	heard := func(what string, want func(health.Heard) bool) health.Heard {
		t.Helper()
		return r.next(what, func(n health.News) bool {
			h, ok := n.(health.Heard)
			return ok && want(h)
		}).(health.Heard)
	}
	first := heard("answer at the start", func(h health.Heard) bool { return h.Address == witness })
	if !first.Since.IsZero() {
		t.Errorf("silence before the first answer: %v", first.Since)
	}
	asked := time.Now()
	r.Ask()
	if h := heard("answer to a question", func(h health.Heard) bool { return h.Asked.After(asked) }); h.Asked.Sub(asked) > witnessGap/2 {
		t.Errorf("asked only %s after it was wanted", h.Asked.Sub(asked))
	}

	l.run(l.sw, "ip link set router nomaster")
	cut := time.Now()
	r.Ask()
	quiet := time.NewTimer(3 * askGap)
	defer quiet.Stop()
	for waiting := true; waiting; {
		select {
		case n := <-r.news:
			if h, ok := n.(health.Heard); ok && h.Asked.After(cut) {
				t.Fatalf("heard through a cut cable: %+v", h)
			}
		case <-quiet.C:
			waiting = false
		}
	}
	l.run(l.sw, "ip link set router master br0")
	back := heard("answer after the cut", func(h health.Heard) bool { return h.Asked.After(cut) })
	if !back.Since.Equal(back.Asked) {
		t.Errorf("the silence is not told: since %v, asked %v", back.Since, back.Asked)
	}
	if next := heard("a second answer after the cut", func(h health.Heard) bool { return h.Asked.After(back.Asked) }); !next.Since.Equal(back.Since) {
		t.Errorf("since %v, then %v", back.Since, next.Since)
	}
}
