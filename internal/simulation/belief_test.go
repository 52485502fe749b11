package simulation

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// blink is what lies between a check and its verdict.
const blink = 50 * time.Millisecond

// A belief is what the controller's journal has said, in the life of one
// controller. Every change of mind is held to the truth, and to the ones that
// came before it.
type belief struct {
	verdicts map[health.Target]*verdict
	wants    map[netip.Prefix][]want // of each cohort, by its first prefix; the latest last
	homes    map[netip.Prefix]topology.ServerName
	loaded   bool // the site was loaded anew: verdicts may have been given up without a word

	// What may move VIPs, and what did, since the start.
	flips map[netip.Prefix]int // of verdicts, by judge
	words int                  // of operators: drains, undrains, reloads
	moves map[netip.Prefix]int // by VIP
}

type verdict struct {
	is    string // "up", "down"; "" for unknown
	since time.Time
	soft  bool        // it may be unknown since a reload
	falls []time.Time // from up, since it was last new
}

// A want is where a VIP was wanted, from a moment on.
type want struct {
	servers []topology.ServerName
	since   time.Time
}

func newBelief(homes map[netip.Prefix]topology.ServerName) belief {
	if homes == nil {
		homes = map[netip.Prefix]topology.ServerName{}
	}
	return belief{
		verdicts: map[health.Target]*verdict{}, wants: map[netip.Prefix][]want{}, homes: homes,
		flips: map[netip.Prefix]int{}, moves: map[netip.Prefix]int{},
	}
}

// learn takes in one event of the journal.
func (w *world) learn(event api.Event) {
	w.say(event.Time, "", "%s", strings.Join(strings.Fields(strings.Join([]string{
		event.Kind, event.Server, event.Router, event.VIP, event.From, ">", event.To, "(" + event.Reason + ")",
	}, " ")), " "))
	switch event.Kind {
	case "verdict":
		if strings.HasPrefix(event.Reason, "check ") {
			break // of a member, that changes nothing about the whole
		}
		w.figures.verdicts++
		w.learnVerdict(event)
	case "agent":
		prefix, _ := parsePrefix(event.VIP)
		w.belief.flips[prefix]++
	case "assignment":
		if event.From != event.To {
			w.figures.moves++
			w.learnMove(event)
		} else {
			w.belief.adopted(event)
		}
	case "admin":
		w.belief.words++
	case "config":
		if event.To == "loaded" {
			w.figures.reloads++
			w.belief.words++
			w.become(w.loading)
			w.belief.soften()
		}
	}
}

// soften is what a reload does to what is known. Other VIPs are another load, and
// may give a VIP another home.
func (b *belief) soften() {
	b.loaded, b.homes = true, map[netip.Prefix]topology.ServerName{}
	// VIPs may move with others now; but what was withdrawn stays so.
	maps.DeleteFunc(b.wants, func(_ netip.Prefix, wants []want) bool { return len(wants[len(wants)-1].servers) > 0 })
	for _, v := range b.verdicts {
		v.soft, v.falls = true, nil
	}
}

func (b *belief) verdict(target health.Target) *verdict {
	if b.verdicts[target] == nil {
		b.verdicts[target] = &verdict{soft: b.loaded}
	}
	return b.verdicts[target]
}

// learnVerdict holds that a verdict is true.
func (w *world) learnVerdict(event api.Event) {
	prefix, _ := parsePrefix(event.VIP)
	target := health.Target{Server: topology.ServerName(event.Server), VIP: prefix}
	v, t := w.belief.verdict(target), w.truths[target]
	lag := blink
	if vip, known := w.site.VIP(prefix); known && checkOf(w.site, target).Group != nil {
		// Its members are looked at each at a time of its own, and those of a standby seldom.
		lag += boundsOf(w.site, vip, topology.Router{}, 0).fall + slowest(w.site, vip).StandbyInterval
	}
	switch {
	case t == nil:
		w.breaks("verdicts are true", "there is no %s of %s", event.Server, event.VIP)
		return
	case event.To == "down" && event.Time.Sub(t.wasBad(event.Time)) > lag:
		w.breaks("verdicts are true", "%s is well for %s, and called down", event.Server, event.VIP)
	case event.To == "up" && event.Time.Sub(t.wasGood(event.Time)) > lag:
		w.breaks("verdicts are true", "%s fails for %s, and is called up", event.Server, event.VIP)
	}
	w.counted(target, event)
	w.belief.flips[prefix]++
	if event.From == "up" && event.To == "down" {
		w.fell[target] = event.Time
		v.falls = append(v.falls, event.Time)
		w.steady(target, v)
	}
	v.is, v.since, v.soft = event.To, event.Time, false
}

// counted holds that a verdict had its run of results. What was lost, failed a
// proof, or never passed or failed for long, needs none.
func (w *world) counted(target health.Target, event api.Event) {
	check := checkOf(w.site, target)
	if check.Group != nil {
		return // its members had theirs
	}
	told := w.prober.streak(target)
	byResults := !strings.HasPrefix(event.Reason, "no reply") && !strings.HasPrefix(event.Reason, "checked before") && !strings.HasPrefix(event.Reason, "unsteady")
	switch {
	case event.To == "up" && (!told.ok || told.n < check.Rise):
		w.breaks("verdicts are true", "%s rose for %s after %d results, and needs %d", target.Server, target.VIP, told.n, check.Rise)
	case event.To == "down" && byResults && (told.ok || told.n < check.Fall):
		w.breaks("verdicts are true", "%s fell for %s after %d results, and needs %d", target.Server, target.VIP, told.n, check.Fall)
	}
}

// steady holds that a verdict falls no more often than its damping allows. Each
// fall within five minutes of the last one doubles the passes that it takes to
// rise before the next, up to 32 times, and these are FastInterval apart: so many
// falls take so long at least.
func (w *world) steady(target health.Target, v *verdict) {
	check := checkOf(w.site, target)
	if check.Group != nil {
		return // its members are damped
	}
	for first := len(v.falls) - 2; first >= 0; first-- {
		span := v.falls[len(v.falls)-1].Sub(v.falls[first])
		if span > 5*time.Minute {
			return
		}
		least := time.Duration(0)
		for i := range len(v.falls) - 1 - first {
			least += time.Duration(check.Rise<<min(i, maxDoublings)-1) * check.FastInterval
		}
		if span < least {
			w.breaks("changes are bounded", "%s fell %d times within %s for %s, which takes %s at least", target.Server, len(v.falls)-first, span, target.VIP, least)
		}
	}
}

// echoed notes that an address was lost, or found: a loss alone may bring verdicts
// down, that checks raise again.
func (w *world) echoed(server topology.ServerName, _ netip.Addr, found bool, now time.Time) {
	if found {
		return
	}
	for target, t := range w.truths {
		if target.Server == server {
			t.bad = now
			if t.is == well {
				w.watch(now)
				t.since = now // it must rise anew
			}
		}
	}
}

// learnMove holds that a move has a reason, and that the reason is true.
func (w *world) learnMove(event api.Event) {
	prefix, _ := parsePrefix(event.VIP)
	vip, known := w.site.VIP(prefix)
	if !known {
		w.breaks("nothing moves without a reason", "%s moves, and is no VIP", event.VIP)
		return
	}
	m := move{world: w, vip: vip, from: split(event.From), to: split(event.To), at: event.Time, why: event.Reason}
	m.judge()
	w.calm(vip)
	w.belief.wants[prefix] = append(w.belief.wants[prefix], want{m.to, event.Time})
}

// adopted notes where a VIP was found to be, of which no event told that it went there.
func (b *belief) adopted(event api.Event) {
	prefix, _ := parsePrefix(event.VIP)
	wants, is := b.wants[prefix], split(event.To)
	if len(wants) > 0 && !slices.Equal(wants[len(wants)-1].servers, is) {
		b.wants[prefix] = append(wants, want{is, event.Time})
	}
}

// calm holds that a VIP moves no more often than it is made to. A verdict that
// changes moves it once, and once more when a failback is due; so does an
// operator's word. With the bound on verdicts, that is the bound on changes in an
// hour for any way in which servers may flap.
func (w *world) calm(vip topology.VIP) {
	b := &w.belief
	b.moves[vip.Prefix]++
	flips := b.flips[vip.Judge]
	if b.loaded || w.site.Policy.MaxUnavailable != (topology.Share{}) {
		flips = w.figures.verdicts // of other judges, which freeze it, or were its own
	}
	if most := 1 + 2*(flips+b.words); b.moves[vip.Prefix] > most {
		w.breaks("changes are bounded", "%s moved %d times, and verdicts and operators account for %d", vip.Prefix, b.moves[vip.Prefix], most)
	}
}

func split(text string) []topology.ServerName {
	if text == "" {
		return nil
	}
	var names []topology.ServerName
	for _, name := range strings.Split(text, ",") {
		names = append(names, topology.ServerName(name))
	}
	return names
}

// movedSince reports whether the VIP, or what it moves with, was given other
// servers since then.
func (b *belief) movedSince(vip topology.VIP, then time.Time) bool {
	for _, wants := range b.wants {
		if len(wants) > 0 && wants[len(wants)-1].since.After(then) {
			return true
		}
	}
	return false
}

// ordered holds that a router is only told what was wanted a short time ago.
func (w *world) ordered(r *router, prefix netip.Prefix, now kept, at time.Time) {
	if now.foreign || len(now.hops) == 0 || r.fought[prefix] {
		return
	}
	vip, known := w.site.VIP(prefix)
	if !known {
		return
	}
	servers, _ := w.servers(now.hops)
	wants := w.belief.wants[vip.Entry]
	for i, want := range slices.Backward(wants) {
		if slices.Equal(servers, want.servers) {
			return
		}
		if i > 0 && at.Sub(want.since) > 2*time.Minute { // as long as a pass may take, and more
			break
		}
		if i == 0 {
			return // what was wanted before the first move is not known
		}
	}
	if len(wants) > 0 && !slices.Equal(servers, wants[len(wants)-1].servers) {
		w.breaks("routers are told what is wanted", "%s sends %s to %v; it is wanted at %v", r.name, prefix, servers, wants[len(wants)-1].servers)
	}
}
