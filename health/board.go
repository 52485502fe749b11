package health

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/routesteer/routesteer/topology"
)

const (
	// flapWindow is how soon after a fall another one counts as flapping.
	flapWindow = 5 * time.Minute
	// maxDamping bounds the doublings of rise: 2^5 = 32 times the check's own.
	maxDamping = 5
)

// A Board holds the verdicts of one site. It is not safe for concurrent use.
type Board struct {
	site    *topology.Site
	targets map[Target]*entry
	echoes  map[netip.Addr]echo
	lost    map[netip.Addr]bool
	back    map[netip.Addr]time.Time // when a lost or silent address was last found well

	// siblings are the other addresses of a server and family, for servers that
	// have several.
	siblings map[netip.Addr][]netip.Addr
}

// A State is what a Board knows of one Target.
type State struct {
	Verdict Verdict
	Since   time.Time // of Verdict; zero while Unknown
	Streak  int       // consecutive results that speak against Verdict
	Needed  int       // how many it takes to change it, flap damping included
	Rise    int       // successes needed to rise, flap damping included
	Why     string    // the failure that brought it down or speaks against it; "" when all is well

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

// A Flip is one change of a verdict.
type Flip struct {
	Target   Target
	From, To Verdict
	At       time.Time
	Why      string // what brought it about, in an operator's words
}

type entry struct {
	check topology.Check
	State
	falls    int       // recent falls beyond the first: doublings of rise
	lastFall time.Time // when the verdict last went from up to down
	unsure   int       // results seen while Unknown
	floor    time.Time // checks that began before this say nothing: a loss came after
}

// Echo is what echo requests say of a server address.
type Echo string

const (
	EchoOff      Echo = "off"
	EchoNever    Echo = "never answered" // claims nothing: echo may be filtered
	EchoAnswers  Echo = "answers"
	EchoLost     Echo = "lost"
	EchoFiltered Echo = "filtered" // lost, and yet checks have passed since
)

type echo struct {
	state Echo
	since time.Time
}

// NewBoard returns a Board on which every verdict is Unknown.
func NewBoard(site *topology.Site) *Board {
	b := &Board{}
	b.SetSite(site)
	return b
}

// SetSite changes the site, keeping what is known of targets and addresses
// that are in both and whose check is the same.
func (b *Board) SetSite(site *topology.Site) {
	old := *b
	*b = Board{
		site:    site,
		targets: map[Target]*entry{},
		echoes:  map[netip.Addr]echo{},
		lost:    map[netip.Addr]bool{},
		back:    map[netip.Addr]time.Time{},

		siblings: map[netip.Addr][]netip.Addr{},
	}
	moved := readdressed(old.site, site)
	former := formerJudges(old.site)
	for _, judge := range site.Judges() {
		check, _ := site.Check(judge.VIP.Check)
		was := former[askedOf(judge.VIP, check)]
		same := sameProbe(old.site, was, judge.VIP, check)
		for _, server := range judge.Servers {
			target := Target{server, judge.VIP.Prefix}
			if known := old.targets[Target{server, was}]; known != nil && same && !moved[server] {
				b.targets[target] = known
				continue
			}
			b.targets[target] = newEntry(check)
		}
	}
	for _, server := range site.Servers {
		for _, address := range server.Addresses {
			b.keepEcho(old, address)
			for _, other := range server.AddressesFor(address) {
				if other != address {
					b.siblings[address] = append(b.siblings[address], other)
				}
			}
		}
	}
}

func newEntry(check topology.Check) *entry {
	return &entry{check: check, State: State{Rise: check.Rise, Needed: check.Rise}}
}

// readdressed returns the servers whose addresses differ: what was seen at the
// old ones says nothing about the new.
func readdressed(old, site *topology.Site) map[topology.ServerName]bool {
	moved := map[topology.ServerName]bool{}
	if old == nil {
		return moved
	}
	for _, server := range site.Servers {
		if was, known := old.Server(server.Name); known && !slices.Equal(was.Addresses, server.Addresses) {
			moved[server.Name] = true
		}
	}
	return moved
}

// A question is what tells judges apart: a check goes to one VIP, or, through
// the servers' own addresses, to all VIPs of a family alike.
type question struct {
	vip    netip.Prefix // zero through the servers' addresses
	check  topology.CheckName
	family bool // Is4
}

func askedOf(vip topology.VIP, check topology.Check) question {
	if check.Through == topology.ThroughAddress {
		return question{check: check.Name, family: vip.Prefix.Addr().Is4()}
	}
	return question{vip: vip.Prefix}
}

// formerJudges finds the judges of the old site by their questions: one whose
// VIP has gone may live on as another VIP's.
func formerJudges(old *topology.Site) map[question]netip.Prefix {
	former := map[question]netip.Prefix{}
	if old == nil {
		return former
	}
	for _, judge := range old.Judges() {
		check, _ := old.Check(judge.VIP.Check)
		former[askedOf(judge.VIP, check)] = judge.VIP.Prefix
	}
	return former
}

// sameProbe reports whether the judge was probed in the same way in the old
// site, as was.
func sameProbe(old *topology.Site, was netip.Prefix, vip topology.VIP, check topology.Check) bool {
	if old == nil {
		return false
	}
	before, known := old.VIP(was)
	if !known || check.Through != topology.ThroughAddress && !slices.Equal(before.Addresses, vip.Addresses) {
		return false
	}
	former, known := old.Check(before.Check)
	return known && reflect.DeepEqual(former, check)
}

func (b *Board) keepEcho(old Board, address netip.Addr) {
	state, known := old.echoes[address]
	switch {
	case b.site.Alive.Off:
		b.echoes[address] = echo{state: EchoOff}
	case known && state.state != EchoOff:
		b.echoes[address] = state
	default:
		b.echoes[address] = echo{state: EchoNever}
	}
	if at, known := old.back[address]; known {
		b.back[address] = at
	}
	// What only echo could end ends with it.
	if old.lost[address] && !(b.site.Alive.Off && state.state == EchoLost) {
		b.lost[address] = true
	}
}

// Clone returns a copy that stays as the Board is now.
func (b *Board) Clone() *Board {
	clone := &Board{
		site:     b.site,
		targets:  make(map[Target]*entry, len(b.targets)),
		echoes:   maps.Clone(b.echoes),
		lost:     maps.Clone(b.lost),
		back:     maps.Clone(b.back),
		siblings: b.siblings, // never changed
	}
	entries := make([]entry, 0, len(b.targets))
	for target, e := range b.targets {
		entries = append(entries, *e)
		clone.targets[target] = &entries[len(entries)-1]
	}
	return clone
}

// State returns what is known of the target; the zero State for one that is
// not in the site.
func (b *Board) State(target Target) State {
	if e := b.targets[target]; e != nil {
		return e.State
	}
	return State{}
}

// Lost reports whether another address of the server should be its next hop:
// this one is known to be gone, or has never answered echo while another of the
// family does.
func (b *Board) Lost(address netip.Addr) bool { return b.lost[address] || b.silent(address) }

// WellSince is when the address, if it is not Lost, was last found well after
// it had not been; zero if it has been well for as long as anything is known.
func (b *Board) WellSince(address netip.Addr) time.Time { return b.back[address] }

func (b *Board) silent(address netip.Addr) bool {
	if b.echoes[address].state != EchoNever {
		return false
	}
	return slices.ContainsFunc(b.siblings[address], func(other netip.Addr) bool {
		return b.echoes[other].state == EchoAnswers && !b.lost[other]
	})
}

// Echo returns what echo requests say of the server: of its addresses, the
// one that says the most against it.
func (b *Board) Echo(name topology.ServerName) Echo {
	server, ok := b.site.Server(name)
	if !ok || len(server.Addresses) == 0 {
		return EchoOff
	}
	worst := EchoAnswers
	for _, address := range server.Addresses {
		state := b.echoes[address]
		switch state.state {
		case EchoLost:
			if !b.passedSince(name, address, state.since) {
				return EchoLost
			}
			worst = EchoFiltered
		case EchoNever, EchoOff:
			if worst == EchoAnswers {
				worst = state.state
			}
		}
	}
	return worst
}

func (b *Board) passedSince(name topology.ServerName, address netip.Addr, since time.Time) bool {
	server, _ := b.site.Server(name)
	for target, e := range b.targets {
		if target.Server == name && server.TakesAt(target.VIP.Addr(), address) && e.Verdict == Up && e.Since.After(since) {
			return true
		}
	}
	return false
}

// Observe takes in one piece of news and returns the verdicts that it
// flipped, sorted by VIP.
func (b *Board) Observe(news News) []Flip {
	switch news := news.(type) {
	case Result:
		return b.result(news)
	case Loss:
		return b.loss(news)
	case Found:
		b.found(news)
		return nil
	default:
		panic(fmt.Sprintf("health: no such news: %T", news))
	}
}

func (b *Board) result(r Result) []Flip {
	e := b.targets[r.Target]
	if e == nil || r.Started.Before(e.floor) {
		return nil
	}
	from := e.Verdict
	if !e.take(r) {
		return nil
	}
	why := r.Failure
	if r.OK() {
		b.reached(r, e.Since)
		why = fmt.Sprintf("%d checks passed", e.passesNeeded(from))
	}
	return []Flip{{Target: r.Target, From: from, To: e.Verdict, At: e.Since, Why: why}}
}

func (e *entry) passesNeeded(from Verdict) int {
	if from == Unknown {
		return e.check.Rise
	}
	return e.Rise
}

// take counts one result and reports whether it flipped the verdict.
func (e *entry) take(r Result) bool {
	e.LastCheck, e.Took = r.Started, r.Took
	if e.Verdict != Unknown && r.OK() == (e.Verdict == Up) {
		e.Streak = 0
		if !r.OK() {
			e.Why = r.Failure
		} else {
			e.Why = ""
		}
		return false
	}
	// While Unknown, a result of the other kind starts the count anew.
	if e.Verdict == Unknown && e.Streak > 0 && r.OK() != (e.Why == "") {
		e.Streak = 0
	}
	e.Streak++
	if e.Verdict == Unknown {
		e.unsure++
	}
	if e.Verdict != Down || !r.OK() {
		e.Why = r.Failure
	}
	e.Needed = e.check.Fall
	if r.OK() {
		e.Needed = e.Rise
	}
	if e.Streak < e.Needed {
		return e.giveUp(r)
	}
	if r.OK() {
		e.set(Up, r.Started.Add(r.Took), "")
	} else {
		e.fall(r.Started.Add(r.Took), r.Failure)
	}
	return true
}

// giveUp ends an Unknown that results of both kinds would keep for ever:
// whoever waits for the verdict must get one.
func (e *entry) giveUp(r Result) bool {
	if e.Verdict != Unknown || r.OK() || e.unsure < 2*(e.check.Rise+e.check.Fall) {
		return false
	}
	e.fall(r.Started.Add(r.Took), fmt.Sprintf("unsteady from the start: %s", r.Failure))
	return true
}

// fall brings the verdict down and, if it fell not long ago, makes it harder
// to rise again.
func (e *entry) fall(at time.Time, why string) {
	if e.Verdict == Up {
		switch {
		case e.lastFall.IsZero() || at.Sub(e.lastFall) > flapWindow:
			e.falls = 0
		case e.falls < maxDamping:
			e.falls++
		}
		e.lastFall = at
		e.Rise = e.check.Rise << e.falls
	}
	e.set(Down, at, why)
}

func (e *entry) set(verdict Verdict, at time.Time, why string) {
	if e.Verdict != verdict {
		e.Since = at
	}
	e.Verdict, e.Why, e.Streak = verdict, why, 0
	if verdict == Up {
		e.Needed = e.check.Fall
	} else {
		e.Needed = e.Rise
	}
}

// reached clears the loss of the server's address that a check went by, or of
// all if that is not known, where no echo will: a lost link takes addresses with
// it that never answered one.
func (b *Board) reached(r Result, at time.Time) {
	server, _ := b.site.Server(r.Target.Server)
	for _, address := range server.AddressesFor(r.Target.VIP.Addr()) {
		if r.Address.IsValid() && r.Address != address {
			continue
		}
		if state := b.echoes[address].state; b.lost[address] && (state == EchoOff || state == EchoNever) {
			delete(b.lost, address)
			b.back[address] = at
		}
	}
}

// loss brings down the server's verdicts that the address stood for, unless
// another address of the same family still answers. It only tips them over:
// passing checks that begin later raise them again, so where echo is filtered
// and checks pass, checks win.
func (b *Board) loss(l Loss) []Flip {
	if b.lost[l.Address] {
		return nil
	}
	b.lost[l.Address] = true
	if b.echoes[l.Address].state == EchoAnswers {
		b.echoes[l.Address] = echo{EchoLost, l.At}
	}
	answered := b.echoes[l.Address].state == EchoLost
	for _, other := range b.siblings[l.Address] {
		// One that never answered does not stand in for one that did.
		if !b.lost[other] && (!answered || b.echoes[other].state == EchoAnswers) {
			return nil
		}
	}
	var flips []Flip
	server, _ := b.site.Server(l.Server)
	for target, e := range b.targets {
		if target.Server == l.Server && server.TakesAt(target.VIP.Addr(), l.Address) {
			flips = append(flips, b.bringDown(target, e, l.At, l.Failure)...)
		}
	}
	slices.SortFunc(flips, func(a, b Flip) int { return a.Target.VIP.Addr().Compare(b.Target.VIP.Addr()) })
	return flips
}

// found takes in addresses of a site that is about to be set, too: the senses
// have it first.
func (b *Board) found(f Found) {
	if b.lost[f.Address] || !f.ByLink {
		b.back[f.Address] = f.At
	}
	delete(b.lost, f.Address)
	if !f.ByLink {
		b.echoes[f.Address] = echo{EchoAnswers, f.At}
	}
}

// BringDown brings one verdict down at once, as a failed proof before a move
// does: the server is seen to be unfit for the VIP now, whatever its count of
// failures. Checks that begin later raise it again.
func (b *Board) BringDown(target Target, at time.Time, why string) []Flip {
	e := b.targets[target]
	if e == nil {
		return nil
	}
	return b.bringDown(target, e, at, why)
}

func (b *Board) bringDown(target Target, e *entry, at time.Time, why string) []Flip {
	from := e.Verdict
	e.floor = at
	e.fall(at, why)
	if from == Down {
		return nil
	}
	return []Flip{{Target: target, From: from, To: Down, At: at, Why: why}}
}
