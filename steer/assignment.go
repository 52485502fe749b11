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
	wants   []*Want // of each of cohorts.all; those that stayed the same are shared with the Assignment before
	frozen  string  // why failure-driven moves are withheld on the whole site, or ""
}

// Assign makes an Assignment that wants of each cohort what want says.
func Assign(cohorts *Cohorts, want func(*Cohort) Want) Assignment {
	a := Assignment{cohorts: cohorts, wants: make([]*Want, len(cohorts.all))}
	for i, cohort := range cohorts.all {
		w := want(cohort)
		a.wants[i] = &w
	}
	return a
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

// Doubted reports whether a move waits for a witness.
func (a Assignment) Doubted() bool {
	return slices.ContainsFunc(a.wants, func(want *Want) bool { return want.Cause == Unproven })
}

// Even returns the Assignment with all next hops of a route sharing its flows
// alike, for routers that know no weights.
func (a Assignment) Even() Assignment {
	even := Assignment{cohorts: a.cohorts, wants: slices.Clone(a.wants), frozen: a.frozen}
	for i, want := range even.wants {
		if len(want.NextHops) < 2 {
			continue // it has nothing to share
		}
		alike := *want
		alike.NextHops = slices.Clone(want.NextHops)
		for j := range alike.NextHops {
			alike.NextHops[j].Weight = 1
		}
		even.wants[i] = &alike
	}
	return even
}

// NextDue is the earliest time at which Desired would decide anew though
// nothing has happened; zero for never.
func (a Assignment) NextDue() time.Time {
	var due time.Time
	for _, want := range a.wants {
		if !want.Next.IsZero() && (due.IsZero() || want.Next.Before(due)) {
			due = want.Next
		}
	}
	return due
}

// SameRoutes reports whether b asks the same of routers.
func (a Assignment) SameRoutes(b Assignment) bool {
	return a.cohorts == b.cohorts && slices.EqualFunc(a.wants, b.wants, func(a, b *Want) bool {
		return a == b || a.Withdraw == b.Withdraw && slices.Equal(a.NextHops, b.NextHops)
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
