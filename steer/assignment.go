package steer

import (
	"net/netip"
	"slices"
	"time"
)

// An Assignment is what we want of every router: for each cohort of the site's
// VIPs, the next hops and the reason. It is never changed. The zero Assignment
// wants nothing.
type Assignment struct {
	cohorts *Cohorts
	wants   []*Want   // of each of cohorts.all; those that stayed the same are shared with the Assignment before
	awake   []*Cohort // those that the next decision looks at, whatever happens; sorted
	load    []int     // VIPs in single mode that each of the site's servers has
	gone    []netip.Addr
	frozen  string // why failure-driven moves are withheld on the whole site, or ""
}

// Assign makes an Assignment that wants of each cohort what want says. Nobody has decided
// that: the next decision looks at all of it.
func Assign(cohorts *Cohorts, want func(*Cohort) Want) Assignment {
	l := load{cohorts: cohorts, count: make([]int, len(cohorts.by))}
	a := Assignment{cohorts: cohorts, wants: make([]*Want, len(cohorts.all)), awake: cohorts.all, load: l.count}
	for i, cohort := range cohorts.all {
		w := want(cohort)
		a.wants[i] = &w
		l.move(cohort, nil, w.Servers)
	}
	return a
}

// Replace returns an Assignment of these cohorts that wants of some of them what by says, and
// of the others what a does. The next decision looks at those.
func (a Assignment) Replace(cohorts *Cohorts, by map[*Cohort]Want) Assignment {
	next, l := a, load{cohorts: cohorts, count: slices.Clone(a.load)}
	if a.cohorts != cohorts {
		next = Assign(cohorts, a.For)
		next.gone, next.frozen, l.count = a.gone, a.frozen, next.load
	}
	next.wants, next.awake, next.load = slices.Clone(next.wants), slices.Clone(next.awake), l.count
	for cohort, want := range by {
		l.move(cohort, next.wants[cohort.index].Servers, want.Servers)
		next.wants[cohort.index] = &want
		next.awake = append(next.awake, cohort)
	}
	next.awake = distinct(next.awake)
	return next
}

// Cohorts returns the cohorts that the Assignment is of; nil for the zero
// Assignment.
func (a Assignment) Cohorts() *Cohorts { return a.cohorts }

// Of returns what is wanted for a prefix; the zero Want for one that is not of
// the site.
func (a Assignment) Of(prefix netip.Prefix) Want {
	if cohort := a.cohorts.Of(prefix); cohort != nil {
		return *a.wants[cohort.index]
	}
	return Want{}
}

// For returns what is wanted for a cohort of the same site, or of another: then
// what most of its prefixes that had servers were wanted for, or the first of
// them, for they move together from now on.
func (a Assignment) For(cohort *Cohort) Want {
	if a.cohorts == nil {
		return Want{}
	}
	if cohort.index < len(a.cohorts.all) && a.cohorts.all[cohort.index] == cohort {
		return *a.wants[cohort.index]
	}
	var before poll
	for _, prefix := range cohort.Prefixes {
		if former := a.cohorts.Of(prefix); former != nil {
			before.vote(*a.wants[former.index], 1)
		}
	}
	return before.winner()
}

// Frozen says why failure-driven moves are withheld on the whole site, or "".
func (a Assignment) Frozen() string { return a.frozen }

// Gone are the addresses of the site's servers that are lost with all connections, sorted.
// Nobody changes them.
func (a Assignment) Gone() []netip.Addr { return a.gone }

// Awake are the cohorts that do not simply rest where they belong, sorted: of all others the
// Cause is Settled, and there is no Next. Nobody changes them.
func (a Assignment) Awake() []*Cohort { return a.awake }

// Changed are the cohorts that may be wanted something else of than before, sorted: all, if
// before is of others. Nobody changes them. To find them takes less than a nanosecond for
// each cohort.
func (a Assignment) Changed(before Assignment) []*Cohort {
	if a.cohorts != before.cohorts {
		return a.cohorts.All()
	}
	var changed []*Cohort
	for i, want := range a.wants {
		if want != before.wants[i] {
			changed = append(changed, a.cohorts.all[i])
		}
	}
	return changed
}

// Doubted reports whether a move waits for a witness.
func (a Assignment) Doubted() bool {
	return slices.ContainsFunc(a.awake, func(cohort *Cohort) bool { return a.wants[cohort.index].Cause == Unproven })
}

// NextDue is the earliest time at which Desired would decide anew though
// nothing has happened; zero for never.
func (a Assignment) NextDue() time.Time {
	var due time.Time
	for _, cohort := range a.awake {
		due = earlier(due, a.wants[cohort.index].Next)
	}
	return due
}

// SameRoutes reports whether b asks for the same routes.
func (a Assignment) SameRoutes(b Assignment) bool {
	return a.cohorts == b.cohorts && slices.EqualFunc(a.wants, b.wants, func(a, b *Want) bool {
		return a == b || a.Withdraw == b.Withdraw && slices.Equal(a.NextHops, b.NextHops)
	})
}

// SameManner reports whether b asks for routes for the same reason, and lets connections stay
// at the same servers: that is of no interest to a router that has these routes.
func (a Assignment) SameManner(b Assignment) bool {
	return slices.EqualFunc(a.wants, b.wants, func(a, b *Want) bool {
		return a == b || a.Failure == b.Failure && slices.Equal(a.taken, b.taken) && slices.Equal(a.Keep, b.Keep)
	})
}

// A poll finds what most prefixes of a cohort have.
type poll struct {
	wants []Want
	votes []int
}

func (p *poll) vote(want Want, votes int) {
	i := slices.IndexFunc(p.wants, func(w Want) bool {
		return slices.Equal(w.Servers, want.Servers) && slices.Equal(w.NextHops, want.NextHops) && w.Withdraw == want.Withdraw && w.Cause == want.Cause
	})
	if i < 0 {
		i = len(p.wants)
		p.wants, p.votes = append(p.wants, want), append(p.votes, 0)
	}
	p.votes[i] += votes
}

// winner is the Want with most votes, of several the first; one that claims
// nothing wins only if nobody wants anything else.
func (p *poll) winner() Want {
	best := -1
	for i, want := range p.wants {
		better := best >= 0 && (!p.wants[best].claims() || p.votes[i] > p.votes[best])
		if best < 0 || want.claims() && better {
			best = i
		}
	}
	if best < 0 {
		return Want{}
	}
	return p.wants[best]
}

func (w Want) claims() bool { return len(w.Servers) > 0 || w.Withdraw }
