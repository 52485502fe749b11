package health

import (
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// A group is the verdict of a check of several, on one server.
type group struct {
	State
	parts []topology.Part // in the order of the file
	needs int
}

// Parts are the targets whose results make the target's verdict: of a check of
// several its members, of any other itself. They may be other VIPs', if these have
// the member in common.
func (b *Board) Parts(target Target) []Target {
	g := b.groups[target]
	if g == nil {
		return []Target{target}
	}
	parts := make([]Target, len(g.parts))
	for i, part := range g.parts {
		parts[i] = Target{target.Server, part.VIP, part.Member}
	}
	return parts
}

// Wholes are the targets whose verdicts results of the target make: of a member
// those of the checks that it is in, of any other itself.
func (b *Board) Wholes(target Target) []Target {
	if target.Member == "" {
		return []Target{target}
	}
	return b.wholes[target]
}

// Combine is the verdict of a check of several: up when so many members are as it
// needs, down when fewer can be, and unknown otherwise.
func Combine(needs int, members []Verdict) Verdict {
	up, down := 0, 0
	for _, verdict := range members {
		switch verdict {
		case Up:
			up++
		case Down:
			down++
		}
	}
	switch {
	case up >= needs:
		return Up
	case down > len(members)-needs:
		return Down
	default:
		return Unknown
	}
}

// regroup decides the checks of several anew that flipped members are in, and
// returns the flips of those in place of the members' that brought them about.
func (b *Board) regroup(flips []Flip) []Flip {
	if b.groups == nil {
		return flips
	}
	var all []Flip
	decided := map[Target]bool{}
	for _, flip := range flips {
		for _, whole := range b.wholes[flip.Target] {
			if change, is := b.decide(whole, flip); is {
				all = append(all, change)
				decided[whole] = true
			}
		}
	}
	for _, flip := range flips {
		if !slices.ContainsFunc(b.wholes[flip.Target], func(whole Target) bool { return decided[whole] }) {
			all = append(all, flip)
		}
	}
	slices.SortStableFunc(all, func(a, b Flip) int { return a.Target.VIP.Compare(b.Target.VIP) })
	return all
}

// decide looks at a check of several again, of which a member has flipped.
func (b *Board) decide(whole Target, flip Flip) (Flip, bool) {
	g := b.groups[whole]
	was := g.State
	b.refresh(whole, g, flip.At)
	why := string(flip.Target.Member) + ": " + flip.Why
	switch now := g.State; {
	case now.Verdict != was.Verdict:
		return Flip{Target: whole, From: was.Verdict, To: now.Verdict, At: flip.At, Why: why}, true
	case flip.From == flip.To && (now.Word.Leave != was.Word.Leave || now.Word.Percent != was.Word.Percent):
		return Flip{Target: whole, From: now.Verdict, To: now.Verdict, At: flip.At, Why: why}, true
	default:
		return Flip{}, false
	}
}

// refreshWholes brings what is known of the checks that a member is in up to date.
func (b *Board) refreshWholes(member Target, at time.Time) {
	for _, whole := range b.wholes[member] {
		b.refresh(whole, b.groups[whole], at)
	}
}

// refresh sums up the members. A verdict that changes does so at that time.
func (b *Board) refresh(whole Target, g *group, at time.Time) {
	was := g.State
	members := make([]State, len(g.parts))
	verdicts := make([]Verdict, len(g.parts))
	for i, part := range b.Parts(whole) {
		members[i] = b.State(part)
		verdicts[i] = members[i].Verdict
	}
	g.State = sum(Combine(g.needs, verdicts), g.parts, members)
	g.Fell = was.Fell
	if was.Verdict == Up && g.Verdict == Down {
		g.Fell = at
	}
	switch {
	case g.Verdict == Unknown:
	case g.Verdict != was.Verdict:
		g.Since = at
	default:
		g.Since = was.Since
	}
	if g.Verdict == Down {
		g.Why = failures(g.parts, members)
	}
}

// sum is what is known of several members: the doubts of the first that speaks
// against the verdict, the last check of those that bear it out, and what any of
// them asks for.
func sum(verdict Verdict, parts []topology.Part, members []State) State {
	s := State{Verdict: verdict}
	for i, m := range members {
		if s.Streak == 0 && m.speaksAgainst(verdict) {
			s.Streak, s.Needed, s.Why = m.Streak, m.Needed, naming(parts[i], m.Why)
		}
		if m.Notice != "" && s.Notice == "" {
			s.Notice = m.Notice
		}
		if m.Verdict == verdict && m.LastCheck.After(s.LastCheck) {
			s.LastCheck, s.Took = m.LastCheck, m.Took
		}
		s.Rise = max(s.Rise, m.Rise)
		s.Word = s.Word.and(m.Word)
	}
	return s
}

// speaksAgainst reports whether a member's latest results do so.
func (s State) speaksAgainst(verdict Verdict) bool {
	if s.Streak == 0 {
		return false
	}
	switch verdict {
	case Up:
		return s.Verdict != Down && s.Why != ""
	case Down:
		return s.Verdict == Down || s.Why == ""
	default:
		return s.Verdict == Unknown
	}
}

// and is what two words ask for together.
func (w Word) and(other Word) Word {
	switch {
	case w.Leave, other == Word{}:
		return w
	case other.Leave, w == Word{}:
		return other
	case w.Percent == 0 || other.Percent > 0 && other.Percent < w.Percent:
		return other
	default:
		return w
	}
}

// failures says what is wrong with the members that are down.
func failures(parts []topology.Part, members []State) string {
	var all []string
	for i, m := range members {
		if m.Verdict == Down {
			all = append(all, naming(parts[i], m.Why))
		}
	}
	return strings.Join(all, "; ")
}

func naming(part topology.Part, why string) string {
	if why == "" {
		return ""
	}
	return string(part.Member) + ": " + why
}

// inherit is a new group's verdict from members that are known: since when so
// many of them have it as it takes.
func (b *Board) inherit(whole Target, g *group) {
	b.refresh(whole, g, time.Time{})
	var since []time.Time
	for _, part := range b.Parts(whole) {
		if s := b.State(part); s.Verdict == g.Verdict {
			since = append(since, s.Since)
		}
	}
	takes := g.needs
	if g.Verdict == Down {
		takes = len(g.parts) - g.needs + 1
	}
	if g.Verdict != Unknown {
		slices.SortFunc(since, time.Time.Compare)
		g.Since = since[takes-1]
	}
}

// Whole is the outcome of a check of several, made once: of its members' results,
// in the order of parts.
func Whole(target Target, needs int, parts []topology.Part, results []Result) Result {
	whole := Result{Target: target, Parts: results}
	verdicts := make([]Verdict, len(results))
	var failed []string
	for i, r := range results {
		verdicts[i] = Up
		if !r.OK() {
			verdicts[i] = Down
			failed = append(failed, naming(parts[i], r.Failure))
		}
		if whole.Started.IsZero() || r.Started.Before(whole.Started) {
			whole.Started = r.Started
		}
		if whole.Hint == "" {
			whole.Hint = r.Hint
		}
		whole.Took = max(whole.Took, r.Took)
	}
	if Combine(needs, verdicts) != Up {
		whole.Failure = strings.Join(failed, "; ")
	}
	return whole
}
