package health

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// A Board holds the verdicts of one site. It is not safe for concurrent use.
type Board struct {
	site    *topology.Site
	seats   map[Target]int // where in entries a target's is; never changed
	entries []entry

	targetsOf map[topology.ServerName][]Target // a server's targets that have a seat; never changed
	wholesOf  map[topology.ServerName][]Target // its checks of several; never changed
	standings map[topology.ServerName]Standing // those that were asked for, and hold
	groups    map[Target]*group                // checks of several; nil if there are none
	wholes    map[Target][]Target              // by member, what of groups it is in; never changed
	echoes    map[netip.Addr]echo
	lost      map[netip.Addr]bool
	back      map[netip.Addr]time.Time // when a lost or silent address was last found well

	witnesses map[netip.Addr]Heard // the last answer of each

	// siblings are the other addresses of a server and family, for servers that
	// have several.
	siblings map[netip.Addr][]netip.Addr
}

// A State is what a Board knows of one Target.
type State struct {
	Verdict Verdict
	Since   time.Time // of Verdict; zero while Unknown
	Fell    time.Time // when it last went from Up to Down; zero if that was not seen
	Streak  int       // consecutive results that speak against Verdict
	Needed  int       // how many it takes to change it, flap damping included
	Rise    int       // successes needed to rise, flap damping included
	Why     string    // the failure that brought it down or speaks against it; "" when all is well

	Word      Word          // what the server asks for itself, by an agent check
	Notice    string        // what is well and will not stay so, as the last check saw it; "" mostly
	LastCheck time.Time     // when the last check began; zero before the first
	Took      time.Duration // how long it took
}

// InDoubt reports whether more results are wanted soon.
func (s State) InDoubt() bool { return s.Verdict == Unknown || s.Streak > 0 }

// Trend is "rising 1/2" or "falling 2/3", or "" when the verdict is settled.
func (s State) Trend() string {
	switch {
	case s.Streak == 0:
		return ""
	case s.Why != "" && s.Verdict != Down:
		return fmt.Sprintf("falling %d/%d", s.Streak, s.Needed)
	default:
		return fmt.Sprintf("rising %d/%d", s.Streak, s.Needed)
	}
}

// A Flip is one change of a verdict or, if that stays, of what the server asks
// for: State.Word.
type Flip struct {
	Target   Target
	From, To Verdict // the same if the word changed
	At       time.Time
	Why      string // what brought it about, in an operator's words
}

// NewBoard returns a Board on which every verdict is Unknown.
func NewBoard(site *topology.Site) *Board {
	b := &Board{}
	b.SetSite(site)
	return b
}

// Clone returns a copy that stays as the Board is now.
func (b *Board) Clone() *Board {
	clone := &Board{
		site:    b.site,
		seats:   b.seats,
		entries: slices.Clone(b.entries),

		targetsOf: b.targetsOf,
		wholesOf:  b.wholesOf,
		standings: maps.Clone(b.standings),

		echoes: maps.Clone(b.echoes),
		lost:   maps.Clone(b.lost),
		back:   maps.Clone(b.back),

		witnesses: maps.Clone(b.witnesses),
		siblings:  b.siblings, // never changed
	}
	if b.groups != nil {
		clone.groups, clone.wholes = make(map[Target]*group, len(b.groups)), b.wholes
	}
	for target, g := range b.groups {
		copied := *g
		clone.groups[target] = &copied
	}
	return clone
}

// State returns what is known of the target; the zero State for one that is
// not in the site.
func (b *Board) State(target Target) State {
	if e := b.entry(target); e != nil {
		return e.State
	}
	if g := b.groups[target]; g != nil {
		return g.State
	}
	return State{}
}

// entry returns what is kept of a target; nil for one that is not probed.
func (b *Board) entry(target Target) *entry {
	if seat, known := b.seats[target]; known {
		return &b.entries[seat]
	}
	return nil
}

// Observe takes in one piece of news and returns the verdicts that it
// flipped, and the words that it changed, sorted by VIP. A flip of a member of a
// check of several is told only if it changes nothing about that check.
func (b *Board) Observe(news News) []Flip {
	switch news := news.(type) {
	case Result:
		flips := b.regroup(b.flipped(b.result(news)))
		b.refreshWholes(news.Target, news.Started.Add(news.Took))
		return flips
	case Loss:
		return b.regroup(b.flipped(b.loss(news)))
	case Found:
		b.found(news)
		return nil
	case Heard:
		b.heard(news)
		return nil
	default:
		panic(fmt.Sprintf("health: no such news: %T", news))
	}
}

func (b *Board) result(r Result) []Flip {
	e := b.entry(r.Target)
	if e == nil || r.Started.Before(e.floor) {
		return nil
	}
	var flips []Flip
	from := e.Verdict
	if e.take(r) {
		why := e.Why
		if r.OK() {
			b.reached(r, e.Since)
			why = fmt.Sprintf("%d checks passed", e.passesNeeded(from))
		}
		flips = append(flips, Flip{Target: r.Target, From: from, To: e.Verdict, At: e.Since, Why: why})
	}
	if why := e.hear(r); why != "" {
		flips = append(flips, Flip{Target: r.Target, From: e.Verdict, To: e.Verdict, At: r.Started.Add(r.Took), Why: why})
	}
	return flips
}
