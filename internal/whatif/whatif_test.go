package whatif_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/whatif"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

const article = `
servers: {web1: 192.0.2.11, web2: 192.0.2.12, web3: 192.0.2.13, web4: 192.0.2.14}
vips:
  - {prefix: 203.0.113.32/27, primary: web1}
  - {prefix: 203.0.113.64/27, primary: web2, name: shop, backup: [web3, web4]}
  - {prefix: 203.0.113.96/27, primary: web3, failback: manual}
  - {prefix: 203.0.113.128/27, primary: web4, backup: web1, on_all_down: withdraw}
routers: {edge: {linux: {}}}
`

// try simulates steps from a file alone, and writes what comes of each in a line:
// "down web1: 203.0.113.32/27 web1>web4".
func try(t *testing.T, file string, steps ...string) []string {
	t.Helper()
	answer, err := whatif.Fresh(site(t, file), noon).Simulate(api.SimulateRequest{Steps: steps}, never)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, step := range answer.Steps {
		line := step.Step + ":"
		for _, move := range step.Moves {
			line += fmt.Sprintf(" %s %s>%s", strings.TrimPrefix(move.VIP, "203.0.113."), strings.Join(move.From, ","), strings.Join(move.To, ","))
			if move.At != step.At {
				line += " at " + move.At
			}
		}
		for _, u := range step.Unserved {
			line += " without:" + strings.TrimPrefix(u.VIP, "203.0.113.")
		}
		if len(step.Refused) > 0 {
			line += " refused"
		}
		if step.Frozen != "" {
			line += " frozen"
		}
		lines = append(lines, line)
	}
	return lines
}

func TestStepsTakeTheirCourse(t *testing.T) {
	for name, c := range map[string]struct {
		file  string
		steps []string
		want  string
	}{
		"a server that is back gets its VIP a minute later": {article, []string{"down web2", "up web2", "after 30s", "after 1m"}, `
down web2: 64/27 web2>web3
up web2:
after 30s:
after 1m0s: 64/27 web3>web2 at 1m0s`},
		"manual failback needs an undrain": {article, []string{"drain web3", "undrain web3", "down web3", "up web3", "after 1h", "drain web3", "undrain web3"}, `
drain web3: 96/27 web3>web4
undrain web3: 96/27 web4>web3
down web3: 96/27 web3>web4
up web3:
after 1h0m0s:
drain web3:
undrain web3: 96/27 web4>web3`},
		"three servers that fall at once are not believed until an operator says so": {article, []string{"down web2,web3,web4", "resume"}, `
down web2,web3,web4: without:64/27 without:96/27 without:128/27 frozen
resume: 96/27 web3>web1 128/27 web4>web1 without:64/27`},
		"servers that fall one after the other are": {article, []string{"down web2", "down web3", "down web4"}, `
down web2: 64/27 web2>web3
down web3: 64/27 web3>web4 96/27 web3>web4
down web4: 96/27 web4>web1 128/27 web4>web1 without:64/27`},
		"to undrain what is in service changes nothing": {article, []string{"down web3", "up web3", "undrain web3", "after 1h"}, `
down web3: 96/27 web3>web4
up web3:
undrain web3:
after 1h0m0s:`},
		"a pin, and its end": {article, []string{"pin shop web3", "down web3", "up web3", "unpin shop", "down web2", "pin shop web2"}, `
pin 203.0.113.64/27 web3: 64/27 web2>web3
down web3: 64/27 web3>web2 96/27 web3>web4
up web3: 64/27 web2>web3
unpin 203.0.113.64/27: 64/27 web3>web2
down web2: 64/27 web2>web3
pin 203.0.113.64/27 web2: refused`},
		"a server off one VIP": {article, []string{"drain web4 of 203.0.113.128", "down web1", "undrain web4 of 203.0.113.128/27"}, `
drain web4 of 203.0.113.128/27: 128/27 web4>web1
down web1: 32/27 web1>web4 128/27 web1> without:128/27
undrain web4 of 203.0.113.128/27: 128/27 >web4`},
		"a maintenance window": {article + `maintenance: [{servers: web2, at: "daily 12:10", for: 20m}]` + "\n", []string{"after 5m", "after 1h", "down web2", "up web2", "failback"}, `
after 5m0s:
after 1h0m0s: 64/27 web2>web3 at 10m0s 64/27 web3>web2 at 30m0s
down web2: 64/27 web2>web3
up web2:
failback: 64/27 web3>web2`},
		"the last drain would be refused": {article, []string{"drain web4", "drain web1", "drain web1"}, `
drain web4: 128/27 web4>web1
drain web1: 32/27 web1>web3 128/27 web1> without:128/27 refused
drain web1: without:128/27`},
		"a freeze": {article + "policy: {max_unavailable: 1}\n", []string{"down web1", "down web2", "drain web4", "up web1,web2"}, `
down web1: 32/27 web1>web4
down web2: without:64/27 frozen
drain web4: 32/27 web4>web3 128/27 web4> without:64/27 without:128/27 refused frozen
up web1,web2: 128/27 >web1`},
		"who is seen well first after an outage gets what is left": {article, []string{"down web1,web2,web3,web4", "up web3"}, `
down web1,web2,web3,web4: 128/27 web4> without:32/27 without:64/27 without:96/27 without:128/27
up web3: 32/27 web1>web3 64/27 web2>web3 without:128/27`},
	} {
		t.Run(name, func(t *testing.T) {
			got := "\n" + strings.Join(try(t, c.file, c.steps...), "\n")
			if got != c.want {
				t.Errorf("it says%s\nwant%s", got, c.want)
			}
		})
	}
}

// A board is a Health of which a test says some things.
type board struct {
	states map[topology.ServerName]health.State
	lost   map[netip.Addr]bool
}

func (b board) State(t health.Target) health.State { return b.states[t.Server] }
func (b board) Lost(a netip.Addr) bool             { return b.lost[a] }
func (b board) WellSince(netip.Addr) time.Time     { return time.Time{} }

// TestWhatIsKnownStays holds that a live world begins with what a controller
// knows: a server that is down stays down until a step says otherwise.
func TestWhatIsKnownStays(t *testing.T) {
	s := site(t, strings.Replace(article, "web2: 192.0.2.12", "web2: {addresses: [192.0.2.12, 198.51.100.12]}", 1))
	well, card := health.State{Verdict: health.Up, Since: noon.Add(-time.Hour)}, netip.MustParseAddr("192.0.2.12")
	b := board{map[topology.ServerName]health.State{
		"web1": well, "web3": well, "web4": well, "web2": {Verdict: health.Down, Since: noon.Add(-time.Minute), Why: "connection refused"},
	}, map[netip.Addr]bool{card: true}}
	in := steer.Input{Site: s, Cohorts: steer.NewCohorts(s), Health: b, Now: noon,
		Will: steer.Will{Drained: map[topology.ServerName]string{"web3": "drained"}}}
	in.Previous = steer.Desired(in)
	answer, err := whatif.Live(in).Simulate(api.SimulateRequest{Steps: []string{"after 1h", "undrain web3", "up web2", "after 1m"}}, never)
	if err != nil {
		t.Fatal(err)
	}
	states := ""
	for _, load := range answer.Start.Load {
		states += load.Server + " " + load.State + ", "
	}
	if states != "web1 in service, web2 out, web3 drained, web4 in service, " {
		t.Errorf("it begins with %s", states)
	}
	if n := answer.Steps[0].Moved; n != 0 {
		t.Errorf("%d VIPs move though nothing happens", n)
	}
	back := answer.Steps[3].Moves
	if len(back) != 1 || back[0].To[0] != "web2" || back[0].At != "1h1m0s" || strings.Contains(back[0].Reason, "198.51.100.12") {
		t.Errorf("web2, which is up, gets %+v back", back)
	}
	if in.Drained["web3"] == "" {
		t.Error("the controller's own drains were changed")
	}
}

// drawSite draws a site of up to 6 servers and 20 VIPs.
func drawSite(t *rapid.T) string {
	var b strings.Builder
	servers := rapid.IntRange(2, 6).Draw(t, "servers")
	b.WriteString("servers:\n")
	for i := range servers {
		fmt.Fprintf(&b, "  web%d: {address: 192.0.2.%d, weight: %d}\n", i, 10+i, rapid.IntRange(1, 3).Draw(t, "weight"))
	}
	b.WriteString("routers: {edge: {linux: {}}}\n")
	if most := rapid.IntRange(0, 3).Draw(t, "most"); most > 0 {
		fmt.Fprintf(&b, "policy: {max_unavailable: %d}\n", most)
	}
	b.WriteString("vips:\n")
	name := rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("web%d", rapid.IntRange(0, servers-1).Draw(t, "server")) })
	for i := range rapid.IntRange(1, 20).Draw(t, "vips") {
		tiers := rapid.SliceOfNDistinct(name, 2, 2, rapid.ID).Draw(t, "tiers")
		backup := ""
		if rapid.Bool().Draw(t, "one backup") {
			backup = ", backup: " + tiers[1]
		}
		fmt.Fprintf(&b, "- {prefix: 203.0.113.%d, primary: %s%s, mode: %s}\n", i, tiers[0], backup, rapid.SampledFrom([]string{"single", "ecmp"}).Draw(t, "mode"))
	}
	return b.String()
}

// TestLossesAreWhatStepsSay holds that trying losses, which decides for as few
// VIPs as it can, says what the same loss as a step does.
func TestLossesAreWhatStepsSay(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s, err := topology.Parse("site.yaml", []byte(drawSite(r)))
		if err != nil {
			r.Fatal(err)
		}
		first := rapid.SampledFrom([]string{"after 1s", "down web0", "drain web1"}).Draw(r, "first")
		tried, err := whatif.Fresh(s, noon).Simulate(api.SimulateRequest{Steps: []string{first}, Losses: 2}, never)
		if err != nil {
			r.Fatal(err)
		}
		start := tried.End()
		known := map[string][]string{}
		for _, losses := range tried.Losses {
			if losses.Tried != losses.Possible {
				r.Fatalf("%d of %d losses were tried", losses.Tried, losses.Possible)
			}
			for _, names := range choose(in(start.Load), losses.AtOnce) {
				lost := strings.Join(names, ",")
				step, err := whatif.Fresh(s, noon).Simulate(api.SimulateRequest{Steps: []string{first, "down " + lost}}, never)
				if err != nil {
					r.Fatal(err)
				}
				already := unserved(start)
				for _, name := range names {
					already = append(already, known[name]...)
				}
				want := slices.DeleteFunc(unserved(step.End()), func(vip string) bool { return slices.Contains(already, vip) })
				got := stranding(losses, names)
				if losses.AtOnce == 1 {
					known[names[0]] = got
				}
				if !slices.Equal(got, want) {
					r.Fatalf("without %s: %v have no server, and as a step %v", lost, got, want)
				}
			}
		}
	})
}

// in are the servers in service.
func in(loads []api.ServerLoad) []string {
	var names []string
	for _, load := range loads {
		if load.State == "in service" {
			names = append(names, load.Server)
		}
	}
	return names
}

func choose(names []string, n int) [][]string {
	var all [][]string
	for i, name := range names {
		if n == 1 {
			all = append(all, []string{name})
			continue
		}
		for _, other := range names[:i] {
			all = append(all, []string{other, name})
		}
	}
	return all
}

func unserved(s api.Situation) []string {
	var vips []string
	for _, u := range s.Unserved {
		vips = append(vips, u.VIP)
	}
	return vips
}

func stranding(losses api.Losses, names []string) []string {
	for _, loss := range losses.Stranding {
		if slices.Equal(loss.Servers, names) {
			return loss.Unserved
		}
	}
	return nil
}

func TestLossesThatAreNotTriedAreCounted(t *testing.T) {
	left := 3
	answer, err := whatif.Fresh(site(t, article), noon).Simulate(api.SimulateRequest{Losses: 2}, func() bool { left--; return left < 0 })
	if err != nil {
		t.Fatal(err)
	}
	if one, two := answer.Losses[0], answer.Losses[1]; one.Tried != 3 || one.Possible != 4 || two.Tried != 0 || two.Possible != 6 {
		t.Errorf("it says %+v", answer.Losses)
	}
}

func TestSlipsInARequestAreNamed(t *testing.T) {
	long := slices.Repeat([]string{"down web1"}, 201)
	for name, c := range map[string]struct {
		request api.SimulateRequest
		want    string
	}{
		"an unknown server": {api.SimulateRequest{Steps: []string{"down web1", "up wbe2"}}, `step 2: no server "wbe2" in site.yaml: did you mean web2?`},
		"no server":         {api.SimulateRequest{Steps: []string{"drain"}}, `drain "": want servers, as in drain web1,web2`},
		"no such step":      {api.SimulateRequest{Steps: []string{"kick web1"}}, `"kick" is no step`},
		"no time":           {api.SimulateRequest{Steps: []string{"after"}}, `after "": want a time`},
		"a time gone by":    {api.SimulateRequest{Steps: []string{"after -1s"}}, `after "-1s"`},
		"too much patience": {api.SimulateRequest{Steps: []string{"after 1000h"}}, "up to 168h0m0s"},
		"too many steps":    {api.SimulateRequest{Steps: long}, "201 steps are more than 200"},
		"three losses":      {api.SimulateRequest{Losses: 3}, "losses is 3"},
		"negative capacity": {api.SimulateRequest{Capacity: -1}, "capacity is -1"},
		"no end":            {api.SimulateRequest{LimitMs: 1 << 62}, "want up to 600000"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := whatif.Fresh(site(t, article), noon).Simulate(c.request, never)
			if failure := (*api.Error)(nil); !errors.As(err, &failure) || failure.Code != api.BadRequest || !strings.Contains(failure.Message, c.want) {
				t.Errorf("it says %v, want %q", err, c.want)
			}
		})
	}
}

// FuzzParseScript reads anything as a script: what it takes for a step is one.
func FuzzParseScript(f *testing.F) {
	f.Add("# a rack\ndown web1,web2\n\nafter 60s # wait\r\nup web1 web2\n")
	f.Add("after 1e9h\ndrain ,\n\x00")
	f.Fuzz(func(t *testing.T, script string) {
		steps, err := whatif.ParseScript(script)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "line ") || strings.ContainsAny(err.Error(), "\n") {
				t.Errorf("the error does not name a line: %v", err)
			}
			return
		}
		again, err := whatif.ParseScript(strings.Join(steps, "\n"))
		if err != nil || !slices.Equal(again, steps) {
			t.Errorf("%q is read as %q, %v", steps, again, err)
		}
	})
}
