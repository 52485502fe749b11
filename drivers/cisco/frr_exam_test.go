package cisco

import (
	"flag"
	"hash/maphash"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/drivertest"
	"github.com/routesteer/routesteer/steer"
)

// both has every question of the exam asked in both families, as `make soak` does;
// otherwise each is in one, which is another one each time.
var both = flag.Bool("both", false, "examine FRR in both families")

// TestFRRPassesTheExam is held on a real FRR, over a real SSH server: one for
// each family, at the same time.
func TestFRRPassesTheExam(t *testing.T) {
	seed := maphash.MakeSeed()
	for name, traits := range map[string]drivertest.Traits{
		"IPv4": {Hops4: addrs("192.0.2.11", "192.0.2.12", "192.0.2.13"), Unreachable: netip.MustParseAddr("10.99.99.99")},
		"IPv6": {Hops6: addrs("2001:db8:1::11", "2001:db8:1::12", "2001:db8:1::13")},
	} {
		traits.ECMP, traits.Foreign, traits.Drift = true, true, true
		traits.Asked = func(question string) bool {
			return *both || (maphash.String(seed, question)%2 == 0) == (name == "IPv4")
		}
		traits.Many = batchSize + batchSize/5 // a batch and a bit: each costs milliseconds
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			drivertest.Exam(t, &frrBench{newFRR(t), traits})
		})
	}
}

// An frrBench is an FRR being examined, with vtysh behind the driver's back.
type frrBench struct {
	*frrRouter
	traits drivertest.Traits
}

func (b *frrBench) Open(_ *testing.T, cohorts [][]netip.Prefix) drivers.Driver {
	cfg := b.cfg()
	cfg.KeepSession = true
	return b.open(cfg, slices.Concat(cohorts...)...)
}

func (b *frrBench) Traits() drivertest.Traits { return b.traits }

func (b *frrBench) Plant(t *testing.T, p netip.Prefix, hops []steer.NextHop) { b.put(t, p, hops, "") }

func (b *frrBench) Bend(t *testing.T, p netip.Prefix, hops []steer.NextHop) {
	b.put(t, p, hops, "tag 5253")
}

func (b *frrBench) Take(t *testing.T, p netip.Prefix) { b.put(t, p, nil, "") }

// Guard listens for the kernel's news that the prefix's route has gone.
func (b *frrBench) Guard(t *testing.T, p netip.Prefix) func() []string {
	news := b.listen(t)
	return func() []string {
		defer news.close()
		var gaps []string
		for _, u := range b.flush(t, news) {
			if u.Type == unix.RTM_DELROUTE && destination(u) == p {
				gaps = append(gaps, "the kernel told of its removal")
			}
		}
		return gaps
	}
}

func addrs(words ...string) []netip.Addr {
	var all []netip.Addr
	for _, w := range words {
		all = append(all, netip.MustParseAddr(w))
	}
	return all
}
