package controller_test

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/whatif"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// drawFile draws a site of up to 5 servers and 12 VIPs, which share their
// verdicts, so that a server falls and rises for all at once.
func drawFile(t *rapid.T) string {
	var b strings.Builder
	b.WriteString("servers:\n")
	servers := rapid.IntRange(2, 5).Draw(t, "servers")
	for i := range servers {
		fmt.Fprintf(&b, "  web%d: {address: 192.0.2.%d, weight: %d}\n", i+1, 11+i, rapid.IntRange(1, 3).Draw(t, "weight"))
	}
	b.WriteString("checks: {web: {http: {port: 80}, rise: 1, fall: 1, through: address}}\nrouters: {edge: {linux: {}}}\n")
	if most := rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "max_unavailable"); most > 0 {
		fmt.Fprintf(&b, "policy: {max_unavailable: %d}\n", most)
	}
	if rapid.Bool().Draw(t, "maintenance") { // the simulation begins at 01:00
		b.WriteString("maintenance: [{servers: [web1], at: \"daily 01:02\", for: 3m}]\n")
	}
	b.WriteString("vips:\n")
	for i := range rapid.IntRange(1, 12).Draw(t, "vips") {
		fmt.Fprintf(&b, "- {prefix: 203.0.113.%d/32, check: web%s}\n", i+1, drawTiers(t, servers)+drawPolicy(t))
	}
	return b.String()
}

func drawTiers(t *rapid.T, servers int) string {
	tiers := map[string][]string{}
	for i := range servers {
		tier := rapid.SampledFrom([]string{"primary", "primary", "backup", "backup2", ""}).Draw(t, "tier")
		tiers[tier] = append(tiers[tier], fmt.Sprintf("web%d", i+1))
	}
	delete(tiers, "")
	if len(tiers["primary"]) == 0 || len(tiers["backup"]) == 0 {
		return ", primary: web1"
	}
	text := ""
	for _, tier := range slices.Sorted(maps.Keys(tiers)) {
		text += fmt.Sprintf(", %s: [%s]", tier, strings.Join(tiers[tier], ", "))
	}
	return text
}

func drawPolicy(t *rapid.T) string {
	return fmt.Sprintf(", mode: %s, failback: %s, on_all_down: %s",
		rapid.SampledFrom([]string{"single", "single", "ecmp"}).Draw(t, "mode"),
		rapid.SampledFrom([]string{"{after: 1m}", "{after: 20s}", "{after: 20s, between: 01:02-01:04}", "immediate", "manual", "never"}).Draw(t, "failback"),
		rapid.SampledFrom([]string{"keep", "withdraw", "first_tier"}).Draw(t, "on_all_down"))
}

// drawSteps draws steps about the site.
func drawSteps(t *rapid.T, site *topology.Site) []string {
	server := rapid.Custom(func(t *rapid.T) string { return string(rapid.SampledFrom(site.Servers).Draw(t, "server").Name) })
	some := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfNDistinct(server, 1, 3, rapid.ID).Draw(t, "servers"), ",")
	})
	var steps []string
	for range rapid.IntRange(1, 8).Draw(t, "steps") {
		verb := rapid.SampledFrom([]string{"down", "down", "up", "drain", "undrain", "after", "after", "pin", "unpin", "failback", "resume", "off", "on"}).Draw(t, "verb")
		vip := rapid.SampledFrom(site.VIPs).Draw(t, "vip")
		at := rapid.SampledFrom(vip.Servers()).Draw(t, "at")
		switch verb {
		case "after":
			verb += " " + rapid.SampledFrom([]string{"10s", "30s", "1m1s", "5m0s"}).Draw(t, "for")
		case "pin":
			verb = fmt.Sprintf("pin %s %s", vip.Prefix, at)
		case "unpin":
			verb = "unpin " + vip.Prefix.String()
		case "off":
			verb = fmt.Sprintf("drain %s of %s", at, vip.Prefix)
		case "on":
			verb = fmt.Sprintf("undrain %s of %s", at, vip.Prefix)
		case "failback":
			verb += " " + rapid.SampledFrom([]string{"", vip.Prefix.String(), string(at)}).Draw(t, "of")
		case "resume":
		default:
			verb += " " + some.Draw(t, "of")
		}
		steps = append(steps, verb)
	}
	return steps
}

// drawWish draws what an operator may ask for until some time.
func drawWish(t *rapid.T, site *topology.Site) string {
	vip := rapid.SampledFrom(site.VIPs).Draw(t, "vip")
	at := rapid.SampledFrom(vip.Servers()).Draw(t, "at")
	return rapid.SampledFrom([]string{
		fmt.Sprintf("drain %s", at), fmt.Sprintf("drain %s of %s", at, vip.Prefix), fmt.Sprintf("pin %s %s", vip.Prefix, at),
	}).Draw(t, "wish")
}

// TestWhatIsSimulatedIsWhatHappens has a controller say what would come of
// steps, then takes them, and compares every move: when, from where, to where and
// why.
func TestWhatIsSimulatedIsWhatHappens(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		file := drawFile(r)
		site, err := topology.Parse("site.yaml", []byte(file))
		if err != nil {
			r.Fatalf("the drawn site is bad: %v\n%s", err, file)
		}
		steps := drawSteps(r, site)
		asked := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string { return drawWish(t, site) }), 0, 2).Draw(r, "asked until later")
		dir := t.TempDir()
		fault := ""
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.file, w.dir = file, dir
			w.start()
			defer w.stop()
			w.later(time.Hour) // all have been well for long, and every VIP is where it belongs
			for _, step := range asked {
				w.askUntil(site, step, time.Now().Add(90*time.Second))
			}
			fault = w.compare(site, steps)
		})
		if fault != "" {
			r.Fatalf("after %q until 90s later:\n%s\n%s\n%s", asked, strings.Join(steps, "\n"), file, fault)
		}
	})
}

// compare says how what happens by the steps differs from what is said to.
func (w *world) compare(site *topology.Site, texts []string) string {
	began, before := time.Now(), w.lastEvent()
	told, err := w.control.Simulate(w.t.Context(), api.SimulateRequest{Steps: texts})
	if err != nil {
		return err.Error()
	}
	steps, err := whatif.Parse(site, texts)
	if err != nil {
		return err.Error()
	}
	if untouched := w.moves(before, began); len(untouched) > 0 {
		return fmt.Sprintf("something moved while it was simulated: %v", untouched)
	}
	for i, step := range steps {
		last := w.lastEvent()
		w.waitUntil(site, step, began, told.Steps[i].At)
		refused := w.take(site, step)
		if was := len(told.Steps[i].Refused) > 0; refused != "" && !was {
			return fmt.Sprintf("step %d: %s: it was refused, and not said to be: %s", i+1, step, refused)
		}
		cohorts := w.cohorts(site)
		want, got := simulatedMoves(cohorts, told.Steps[i]), w.moves(last, began)
		if !slices.Equal(got, want) {
			return fmt.Sprintf("step %d: %s: it was said\n  %s\nand it was\n  %s", i+1, step, strings.Join(want, "\n  "), strings.Join(got, "\n  "))
		}
		for _, vip := range w.status().VIPs {
			unserved := slices.ContainsFunc(told.Steps[i].Unserved, func(u api.Unserved) bool { return u.VIP == vip.Prefix })
			served := slices.ContainsFunc(vip.Wanted, func(name string) bool { return slices.Contains(vip.Eligible, name) })
			if served == unserved {
				return fmt.Sprintf("step %d: %s: %s has a server: %t, and was said to be without: %t", i+1, step, vip.Prefix, served, unserved)
			}
		}
	}
	return ""
}

// cohorts are those that the controller steers now.
func (w *world) cohorts(site *topology.Site) *steer.Cohorts {
	var apart []netip.Prefix
	for _, vip := range w.status().VIPs {
		if vip.Pin != nil || len(vip.Off) > 0 {
			apart = append(apart, netip.MustParsePrefix(vip.Prefix))
		}
	}
	return steer.NewCohorts(site, apart...)
}

// waitUntil lets the time pass that servers fall apart from others.
func (w *world) waitUntil(site *topology.Site, step whatif.Step, began time.Time, at string) {
	offset, err := time.ParseDuration(at)
	if err != nil {
		w.t.Error(err)
	}
	if wait := time.Until(began.Add(offset)); step.Verb == whatif.Down && wait > 0 {
		w.later(wait)
		w.tellAt(site, 1)
	}
}

// take makes the step happen, and says why it is refused.
func (w *world) take(site *topology.Site, step whatif.Step) (refused string) {
	w.t.Helper()
	ctx, servers, vips := w.t.Context(), texts(step.Servers), texts(step.VIPs)
	var err error
	switch step.Verb {
	case whatif.After:
		w.later(step.For)
	case whatif.Drain:
		_, err = w.control.Drain(ctx, api.DrainRequest{Servers: servers, VIPs: vips, Force: true})
	case whatif.Undrain:
		_, err = w.control.Undrain(ctx, api.UndrainRequest{Servers: servers, VIPs: vips})
	case whatif.Pin:
		_, err = w.control.Pin(ctx, api.PinRequest{VIP: vips[0], Server: servers[0]})
	case whatif.Unpin:
		_, err = w.control.Unpin(ctx, api.UnpinRequest{VIP: vips[0]})
	case whatif.Failback:
		_, err = w.control.Failback(ctx, api.FailbackRequest{Of: slices.Concat(servers, vips)})
	case whatif.Resume:
		_, err = w.control.Resume(ctx, api.ResumeRequest{})
	case whatif.Down, whatif.Up:
		for _, name := range step.Servers {
			w.senses.becomes(health.Target{Server: name, VIP: site.VIPs[0].Judge}, step.Verb == whatif.Down)
		}
		w.tellAt(site, 32, step.Servers...) // passes enough to rise, however damped
	}
	w.tellAt(site, 1)
	if err != nil {
		return err.Error()
	}
	return ""
}

// askUntil asks for something that ends by itself; it may be refused.
func (w *world) askUntil(site *topology.Site, text string, until time.Time) {
	w.t.Helper()
	steps, err := whatif.Parse(site, []string{text})
	if err != nil {
		w.t.Error(err)
		return
	}
	servers, vips := texts(steps[0].Servers), texts(steps[0].VIPs)
	if steps[0].Verb == whatif.Pin {
		_, err = w.control.Pin(w.t.Context(), api.PinRequest{VIP: vips[0], Server: servers[0], Until: until})
	} else {
		_, err = w.control.Drain(w.t.Context(), api.DrainRequest{Servers: servers, VIPs: vips, Until: until, Force: true})
	}
	if refused := (*api.Error)(nil); err != nil && (!errors.As(err, &refused) || refused.Code != api.Refused) {
		w.t.Error(err)
	}
	w.tellAt(site, 1)
}

func texts[T any](values []T) []string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = fmt.Sprint(value)
	}
	return texts
}

// becomes makes a target ill, or well.
func (s *senses) becomes(target health.Target, ill bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ill, target)
	if ill {
		s.ill[target] = "simulated"
	}
}

// tellAt sends times results for these servers, or all, which the controller
// takes in at once.
func (w *world) tellAt(site *topology.Site, times int, servers ...topology.ServerName) {
	w.t.Helper()
	if len(servers) == 0 {
		for _, server := range site.Servers {
			servers = append(servers, server.Name)
		}
	}
	err := w.control.Meanwhile(w.t.Context(), func() {
		for _, name := range servers {
			target := health.Target{Server: name, VIP: site.VIPs[0].Judge}
			for range times {
				w.senses.news <- health.Result{Target: target, Started: time.Now(), Failure: w.senses.ill[target]}
			}
		}
	})
	if err != nil {
		w.t.Error(err)
	}
	synctest.Wait()
}

func (w *world) lastEvent() uint64 {
	last := uint64(0)
	for event := range w.control.Events(w.t.Context(), api.EventsRequest{}) {
		last = event.Seq
	}
	return last
}

// moves are those that the journal tells of, after event since and from began on.
func (w *world) moves(since uint64, began time.Time) []string {
	var moves []string
	for event := range w.control.Events(w.t.Context(), api.EventsRequest{Since: since}) {
		if event.Kind == "assignment" && event.From != event.To && !event.Time.Before(began) {
			moves = append(moves, fmt.Sprintf("%s: %s from %s to %s: %s", event.Time.Sub(began), event.VIP, event.From, event.To, event.Reason))
		}
	}
	return moves
}

// simulatedMoves are told as the journal would: of a cohort only the first.
func simulatedMoves(cohorts *steer.Cohorts, step api.SimulatedStep) []string {
	var moves []string
	for _, move := range step.Moves {
		if prefix := netip.MustParsePrefix(move.VIP); cohorts.Of(prefix).Prefix != prefix {
			continue
		}
		moves = append(moves, fmt.Sprintf("%s: %s from %s to %s: %s", move.At, move.VIP, strings.Join(move.From, ","), strings.Join(move.To, ","), move.Reason))
	}
	return moves
}
