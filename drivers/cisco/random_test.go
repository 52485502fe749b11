package cisco_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/cisco/iostest"
	"github.com/routesteer/routesteer/topology"
)

var (
	runs = flag.Int("runs", 50, "randomised runs against routers with random faults")
	seed = flag.Uint64("seed", 0, "of the first randomised run; 0 takes the clock's")
)

// TestRandomRoutersWithRandomCuts turns on any faults together, cuts the
// connection anywhere, and moves VIPs about. No prefix is ever without a route,
// a failure names the prefixes that did not move, and once the faults are gone
// the next pass makes the router as it should be. That no session and no
// goroutine is left is held by leave and by the bubble.
func TestRandomRoutersWithRandomCuts(t *testing.T) {
	first := *seed
	if first == 0 {
		first = uint64(time.Now().UnixNano())
	}
	seeds := []uint64{5851, 5899, 5925, 5990, 20590} // each found a fault once
	for i := range *runs {
		seeds = append(seeds, first+uint64(i))
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0))
			inWorld(t, randomSetting(random), func(w *world) { stroll(w, random) })
		})
	}
}

// stroll moves all VIPs a few times.
func stroll(w *world, random *rand.Rand) {
	w.moved("web1")
	for range 4 {
		faults, to := randomFaults(random), fmt.Sprintf("web%d", 1+random.IntN(4))
		if random.IntN(6) == 0 && !w.used(to) && w.site.Routers[0].Cisco.Strategy != topology.StrategyFloating {
			faults.Unreachable = []netip.Addr{w.hops[to][0], w.hops[to][1]}
		}
		w.router.Change(func(f *iostest.Faults) { *f = faults })
		ctx, cancel := context.WithTimeout(w.Context(), 5*time.Minute)
		n, err := w.move(ctx, to)
		cancel()
		if named := len(refusedOf(err)); n+named != len(w.site.VIPs) {
			w.Errorf("%d moved and %d named of %d prefixes, with %+v: %v", n, named, len(w.site.VIPs), faults, err)
		}
		time.Sleep(time.Duration(random.IntN(5000)) * time.Millisecond)
	}
	w.router.Change(func(f *iostest.Faults) { *f = iostest.Faults{} })
	time.Sleep(10 * time.Second) // what was typed is installed by then
	w.moved(fmt.Sprintf("web%d", 1+random.IntN(4)))
	w.unbroken()
	if w.Failed() {
		w.Logf("the dialogue:\n%s", w.transcript())
	}
}

// used reports whether the router forwards anything to a server: one that becomes
// unreachable then leaves a gap that is not ours.
func (w *world) used(server string) bool {
	return slices.ContainsFunc(w.prefixes(), func(prefix netip.Prefix) bool {
		via := w.router.Installed(prefix)
		return slices.Contains(via, w.hops[server][0]) || slices.Contains(via, w.hops[server][1])
	})
}

// refusedOf is the prefixes that an error of Apply names.
func refusedOf(err error) []netip.Prefix {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []netip.Prefix
		for _, e := range joined.Unwrap() {
			all = append(all, refusedOf(e)...)
		}
		return all
	}
	var change *drivers.ChangeError
	if errors.As(err, &change) {
		return change.Change.Prefixes
	}
	return nil
}

func randomSetting(random *rand.Rand) setting {
	chance := func() bool { return random.IntN(3) == 0 }
	s := setting{vips: 3, options: iostest.Options{
		Dialect: []string{"ios", "nxos", "eos", "iosxr"}[random.IntN(4)], PromptInConfig: chance(), OtherSpace: chance(),
		Stamps: chance(), Narrow: chance(), NoEcho: random.IntN(8) == 0, LooseNo: chance(), Padding: random.IntN(60),
	}}
	if chance() {
		s.options.Hostname = strings.Repeat("router-", 3) + "east"
	}
	if chance() {
		s.options.Prompt = "pod 7 [edge]"
	}
	if chance() {
		s.options.MOTD = iostest.NastyMOTD
	}
	if chance() {
		s.options.Enable = enabling
	}
	keep, floating, save, tag := chance(), chance(), chance(), chance()
	s.cisco = func(c *topology.Cisco) {
		c.KeepSession = keep
		if floating {
			c.Strategy = topology.StrategyFloating
		}
		if save {
			c.Save.AfterChange = true
		}
		if tag {
			c.Tag = 4000
		}
	}
	return s
}

func randomFaults(random *rand.Rand) iostest.Faults {
	chance := func() bool { return random.IntN(3) == 0 }
	f := iostest.Faults{
		Noise: chance(), LogAtPrompt: chance(), LogInAnswer: chance(), LogConfig: chance(), LogAlways: chance(), NoReprint: chance(),
		StrictSSH: chance(), KeyboardOnly: chance(), Overwrite: chance(),
	}
	if chance() {
		f.Chunk = 1 + random.IntN(20)
	}
	if chance() {
		f.PromptDelay = time.Duration(random.IntN(3000)) * time.Millisecond
	}
	if chance() {
		f.InstallDelay = time.Duration(random.IntN(8000)) * time.Millisecond
	}
	if chance() {
		f.Cut = iostest.Cut{Line: 1 + random.IntN(60), When: iostest.CutWhen(random.IntN(3))}
	}
	switch random.IntN(7) {
	case 0:
		f.Hang = 1 + random.IntN(60)
	case 1:
		f.DenyNth = 1 + random.IntN(60)
	case 2:
		f.Locked = random.IntN(8)
	case 3:
		f.Refuse = random.IntN(3)
	}
	return f
}
