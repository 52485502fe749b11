package cisco_test

import (
	"context"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/drivers/cisco/iostest"
	"github.com/routesteer/routesteer/topology"
)

// TestADrainOnEveryKindOfRouter moves all VIPs from one server to another, and
// back, on routers that are hard to speak with, and can do it.
func TestADrainOnEveryKindOfRouter(t *testing.T) {
	faults := func(f iostest.Faults) iostest.Options { return iostest.Options{Faults: f} }
	for name, s := range map[string]setting{
		"plain":                      {},
		"user mode, then enable":     {options: iostest.Options{Enable: enabling}},
		"user mode without secret":   {options: iostest.Options{UserMode: true}, cisco: func(c *topology.Cisco) { c.Enable = topology.Secret{Env: "HOME"} }},
		"banners":                    {options: iostest.Options{Banner: iostest.NastyMOTD, MOTD: iostest.NastyMOTD}},
		"no echo":                    {options: iostest.Options{NoEcho: true}},
		"narrow":                     {options: iostest.Options{Narrow: true}},
		"a long name":                {options: iostest.Options{Hostname: "core-router-of-the-site-1"}},
		"a prompt of its own":        {options: iostest.Options{Prompt: "[edge] is here"}},
		"and in configuration mode":  {options: iostest.Options{Prompt: "the edge of it", PromptInConfig: true}},
		"another space":              {options: iostest.Options{OtherSpace: true}},
		"a pager":                    {options: iostest.Options{Pager: 5, Padding: 40, Faults: iostest.Faults{Deny: regexp.MustCompile(`^terminal `)}}},
		"much configuration":         {options: iostest.Options{Padding: 3000}},
		"time stamps":                {options: iostest.Options{Stamps: true}},
		"other orders of options":    {options: iostest.Options{Order: []string{"distance", "name", "tag"}}, cisco: func(c *topology.Cisco) { c.Tag, c.Distance = 77, 5 }},
		"no needs the very options":  {cisco: func(c *topology.Cisco) { c.Tag, c.Distance = 77, 5 }},
		"no needs no options":        {options: iostest.Options{LooseNo: true}},
		"noise":                      {options: faults(iostest.Faults{Noise: true})},
		"small packets":              {options: faults(iostest.Faults{Chunk: 1})},
		"a trickle":                  {options: faults(iostest.Faults{Trickle: 5 * time.Millisecond}), vips: 1},
		"slow":                       {options: faults(iostest.Faults{PromptDelay: 20 * time.Second}), vips: 1},
		"log lines":                  {options: faults(iostest.Faults{LogAtPrompt: true, LogConfig: true, LogAlways: true})},
		"log lines in answers":       {options: faults(iostest.Faults{LogInAnswer: true, LogAlways: true})},
		"log lines without a prompt": {options: faults(iostest.Faults{LogInAnswer: true, LogConfig: true, NoReprint: true, LogAlways: true})},
		"locked for a while":         {options: faults(iostest.Faults{Locked: 3})},
		"routes come later":          {options: faults(iostest.Faults{InstallDelay: 2 * time.Second})},
		"old algorithms":             {options: faults(iostest.Faults{Legacy: true}), cisco: func(c *topology.Cisco) { c.LegacyAlgorithms = true }},
		"keyboard-interactive":       {options: faults(iostest.Faults{KeyboardOnly: true})},
		"strict about requests":      {options: faults(iostest.Faults{StrictSSH: true})},
		"a session that is kept":     {cisco: func(c *topology.Cisco) { c.KeepSession = true }},
		"a kept one that dies":       {options: faults(iostest.Faults{ExecTimeout: 10 * time.Minute}), cisco: func(c *topology.Cisco) { c.KeepSession = true }},
		"in a VRF":                   {options: iostest.Options{VRFs: []string{"RED"}}, cisco: func(c *topology.Cisco) { c.VRF = "RED" }},
		"one session at a time":      {options: faults(iostest.Faults{SessionLimit: 1})},
		"no date":                    {options: iostest.Options{NoDate: true}},
		"a distance is a route":      {options: iostest.Options{Distinct: true}},
		"no needs a next hop":        {options: iostest.Options{NoNeeds: true}},
		"typos are looked up in DNS": {options: faults(iostest.Faults{Translating: true})},
		"prompts without a limit":    {options: iostest.Options{Hostname: "core-router-of-the-site-1", PromptLimit: -1}},
		"floating":                   {cisco: func(c *topology.Cisco) { c.Strategy = topology.StrategyFloating }},
		"show ip route is forbidden": {options: faults(iostest.Faults{Deny: regexp.MustCompile(`show (ip |ipv6 )?route`)})},
		"all at once": {options: iostest.Options{
			Enable: enabling, Banner: iostest.NastyMOTD, MOTD: iostest.NastyMOTD, Hostname: "core-router-of-the-site-1", Padding: 100, Stamps: true,
			Faults: iostest.Faults{
				Noise: true, Chunk: 3, LogAtPrompt: true, LogConfig: true, LogInAnswer: true, LogAlways: true, Locked: 2, KeyboardOnly: true,
				StrictSSH: true, InstallDelay: 300 * time.Millisecond, PromptDelay: 100 * time.Millisecond,
			},
		}},
	} {
		for _, dialect := range []string{"ios", "nxos", "eos", "iosxr"} {
			t.Run(name+" "+dialect, func(t *testing.T) {
				t.Parallel()
				s := s
				s.options.Dialect = dialect
				inWorld(t, s, func(w *world) {
					w.moved("web1")
					time.Sleep(time.Hour) // fake: what is not used for long is closed
					w.moved("web2")
					w.moved("web1")
					w.unbroken()
				})
			})
		}
	}
}

// TestFailuresAreToldAndHealed makes a move fail, holds what is said of it, and
// takes the cause away: the next pass converges.
func TestFailuresAreToldAndHealed(t *testing.T) {
	at := func(line int, when iostest.CutWhen) func(*iostest.Faults) {
		return func(f *iostest.Faults) { f.Cut = iostest.Cut{Line: line, When: when} }
	}
	for name, c := range map[string]struct {
		fail func(*iostest.Faults)
		want string // of the error
	}{
		"no VTY is free":          {func(f *iostest.Faults) { f.Refuse = 1 << 20 }, "VTY"},
		"locked for ever":         {func(f *iostest.Faults) { f.Locked = -1 }, "locked"},
		"configure is forbidden":  {func(f *iostest.Faults) { f.Deny = regexp.MustCompile(`^configure`) }, "(?i)authoriz|permission denied"},
		"routes are forbidden":    {func(f *iostest.Faults) { f.Deny = regexp.MustCompile(`^(ip|ipv6) route|^[0-9a-f.:]+/`) }, "(?i)authoriz|permission denied"},
		"removal is forbidden":    {func(f *iostest.Faults) { f.Deny = regexp.MustCompile(`^no `) }, "the old one is not removed"},
		"reading is forbidden":    {func(f *iostest.Faults) { f.Deny = regexp.MustCompile(`^show running`) }, "read static routes"},
		"one line is forbidden":   {func(f *iostest.Faults) { f.DenyNth = 12 }, "(?i)authoriz|permission denied"},
		"cut before a line":       {at(13, iostest.BeforeRunning), "clos"},
		"cut after a line":        {at(13, iostest.AfterRunning), "clos"},
		"cut in an answer":        {at(7, iostest.AmidAnswer), "clos"},
		"hangs":                   {func(f *iostest.Faults) { f.Hang = 14 }, "within 30s"},
		"chatters without an end": {func(f *iostest.Faults) { f.Trickle = 20 * time.Second; f.Chunk = 1 }, "within 30s"},
		"the new server is unreachable": {func(f *iostest.Faults) {
			f.Unreachable = []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("2001:db8:10::2")}
		}, "does not forward by it"},
	} {
		for _, dialect := range []string{"ios", "nxos", "eos", "iosxr"} {
			t.Run(name+" "+dialect, func(t *testing.T) {
				t.Parallel()
				inWorld(t, setting{options: iostest.Options{Dialect: dialect}}, func(w *world) {
					w.moved("web1")
					time.Sleep(time.Minute)
					w.router.Change(c.fail)
					ctx, cancel := context.WithTimeout(w.Context(), 10*time.Minute)
					defer cancel()
					n, err := w.move(ctx, "web2")
					if err == nil || !regexp.MustCompile(c.want).MatchString(err.Error()) {
						w.Errorf("%d moved: %v; want an error that says %s\n%s", n, err, c.want, w.transcript())
					}
					w.router.Change(func(f *iostest.Faults) { *f = iostest.Faults{} })
					w.moved("web2")
					w.unbroken()
				})
			})
		}
	}
}

// TestAFloatingRouteThatCannotTakeOver holds that the better ones are put back.
func TestAFloatingRouteThatCannotTakeOver(t *testing.T) {
	for _, dialect := range []string{"ios", "nxos", "eos", "iosxr"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			floating := func(c *topology.Cisco) { c.Strategy = topology.StrategyFloating }
			inWorld(t, setting{options: iostest.Options{Dialect: dialect}, cisco: floating}, func(w *world) {
				w.moved("web1")
				w.router.Change(func(f *iostest.Faults) {
					for _, server := range []string{"web2", "web3", "web4"} {
						f.Unreachable = append(f.Unreachable, w.hops[server][0], w.hops[server][1])
					}
				})
				if n, err := w.move(w.Context(), "web2"); n != 0 || err == nil {
					t.Errorf("%d prefixes moved to a server that cannot be reached: %v", n, err)
				}
				w.at("web1")
				for _, prefix := range w.prefixes() {
					for _, gap := range w.router.Guard(prefix).Gaps {
						if lasted := gap.To.Sub(gap.From); gap.To.IsZero() || lasted > 2*time.Second {
							t.Errorf("%s was without a route for %s", prefix, lasted)
						}
					}
				}
			})
		})
	}
}

// TestACommitThatFailsChangesNothing holds that IOS-XR's reason is told, and that
// no candidate is left behind.
func TestACommitThatFailsChangesNothing(t *testing.T) {
	inWorld(t, setting{options: iostest.Options{Dialect: "iosxr"}}, func(w *world) {
		w.moved("web1")
		w.router.Change(func(f *iostest.Faults) { f.CommitError = "the table is full" })
		n, err := w.move(w.Context(), "web2")
		if n != 0 || err == nil || !strings.Contains(err.Error(), "the table is full") {
			t.Errorf("%d moved: %v; want the router's reason", n, err)
		}
		w.at("web1")
		w.router.Change(func(f *iostest.Faults) { f.CommitError = "" })
		w.moved("web2")
		w.unbroken()
	})
}

// TestARefusedNextHopStopsNoOtherPrefix covers a server address that is the
// router's own.
func TestARefusedNextHopStopsNoOtherPrefix(t *testing.T) {
	for _, dialect := range []string{"ios", "nxos", "eos", "iosxr"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			own := []netip.Addr{netip.MustParseAddr("10.0.0.2")}
			inWorld(t, setting{options: iostest.Options{Dialect: dialect, Own: own}}, func(w *world) {
				w.moved("web1")
				n, err := w.move(w.Context(), "web2")
				if n != 2 || len(refusedOf(err)) != 2 {
					t.Errorf("%d moved: %v; want IPv6 moved and IPv4 refused\n%s", n, err, w.transcript())
				}
				w.unbroken()
			})
		})
	}
}

// TestWhatIsNotPutBackIsTold holds that nobody takes a prefix without a route
// for one that has its old one.
func TestWhatIsNotPutBackIsTold(t *testing.T) {
	floating := func(c *topology.Cisco) { c.Strategy = topology.StrategyFloating }
	inWorld(t, setting{options: iostest.Options{Dialect: "ios"}, cisco: floating, vips: 1}, func(w *world) {
		w.moved("web1")
		w.router.Change(func(f *iostest.Faults) {
			f.Deny = regexp.MustCompile(`^ip`)
			for _, server := range []string{"web2", "web3", "web4"} {
				f.Unreachable = append(f.Unreachable, w.hops[server][0], w.hops[server][1])
			}
		})
		if _, err := w.move(w.Context(), "web2"); err == nil || !strings.Contains(err.Error(), "is not put back") {
			t.Errorf("the error does not tell it: %v", err)
		}
	})
}

// TestSightIsToldAsItIs holds that a warning goes when its cause does.
func TestSightIsToldAsItIs(t *testing.T) {
	forbidden := iostest.Faults{Deny: regexp.MustCompile(`show (ip |ipv6 )?route`)}
	inWorld(t, setting{options: iostest.Options{Dialect: "ios", Faults: forbidden}}, func(w *world) {
		w.moved("web1")
		if len(w.driver.Info().Problems) == 0 {
			t.Error("nothing is said of moves that are not verified")
		}
		w.router.Change(func(f *iostest.Faults) { *f = iostest.Faults{} })
		w.moved("web2")
		if problems := w.driver.Info().Problems; len(problems) > 0 {
			t.Errorf("moves are verified, and it says %q", problems)
		}
	})
}

// TestARemovalThatIsNotCommittedIsToldAsSuch holds that nothing is put back that
// was never removed.
func TestARemovalThatIsNotCommittedIsToldAsSuch(t *testing.T) {
	floating := func(c *topology.Cisco) { c.Strategy = topology.StrategyFloating }
	inWorld(t, setting{options: iostest.Options{Dialect: "iosxr"}, cisco: floating, vips: 1}, func(w *world) {
		w.moved("web1")
		w.router.Change(func(f *iostest.Faults) { f.CommitError = "'RSI' detected the 'fatal' condition" })
		if _, err := w.move(w.Context(), "web2"); err == nil || !strings.Contains(err.Error(), "'RSI' detected") {
			t.Errorf("the error does not tell why: %v", err)
		}
		w.at("web1")
		w.unbroken()
	})
}
