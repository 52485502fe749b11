package steer

import "slices"

// A Plan is what makes a router's routes equal an Assignment. The zero Plan
// has nothing to do.
type Plan struct {
	Changes []Change // sorted by their first prefix
	Foreign []Route  // routes in the way that are not ours to touch, sorted
}

// Terms are on what terms a router is steered.
type Terms struct {
	Adopt bool // foreign routes in the way are taken over
	Even  bool // it knows no weights: the next hops of a route share its flows alike
}

// NextHops are those wanted, as far as the router can have them so.
func (t Terms) NextHops(want Want) []NextHop {
	if !t.Even || len(want.NextHops) < 2 {
		return want.NextHops
	}
	alike := slices.Clone(want.NextHops)
	for i := range alike {
		alike[i].Weight = 1
	}
	return alike
}

// Diff compares what we want with what a router has, a Table of the same
// cohorts. Prefixes that the Assignment claims nothing for are left as they are.
// A foreign route in the way is reported, and its prefix left alone, unless the terms
// are to adopt it; a route of ours beside it is still kept up to date.
//
// It gives one change for each cohort, or for each part of it that is in the
// same wrong state. It looks at all cohorts; a Comparison does so the first time only.
func Diff(want Assignment, have *Table, terms Terms) Plan { return Compare(have, terms).With(want) }

// A Comparison compares one Assignment after another with what a router has, each time as
// Diff does, and after the first at a cost in proportion to what is amiss and what changed.
// It is used by one goroutine at a time.
type Comparison struct {
	have  *Table
	terms Terms
	last  Assignment
	amiss []*Cohort // of which the router does not have what last wants, or somebody is in the way; sorted
}

// Compare prepares to compare Assignments with what a router has.
func Compare(have *Table, terms Terms) *Comparison { return &Comparison{have: have, terms: terms} }

// With compares the next Assignment.
func (c *Comparison) With(want Assignment) Plan {
	if want.cohorts == nil {
		return Plan{}
	}
	if c.have.cohorts != want.cohorts {
		panic("steer: an assignment is compared with a table of other cohorts")
	}
	var plan Plan
	some := distinct(append(c.amiss, want.Changed(c.last)...))
	c.last, c.amiss = want, nil
	for _, cohort := range some {
		known := len(plan.Changes) + len(plan.Foreign)
		for _, part := range c.have.parts[cohort.index] {
			plan.add(cohort, want.wants[cohort.index], part, c.terms)
		}
		if len(plan.Changes)+len(plan.Foreign) > known {
			c.amiss = append(c.amiss, cohort)
		}
	}
	slices.SortFunc(plan.Changes, func(a, b Change) int { return ComparePrefix(a.Prefixes[0], b.Prefixes[0]) })
	SortRoutes(plan.Foreign)
	return plan
}

// add adds what is to be done for one part of a cohort.
func (p *Plan) add(cohort *Cohort, want *Want, part Part, terms Terms) {
	hops, ours, blocked := terms.NextHops(*want), part.Ours, part.Foreign != nil
	if ours != nil && !ours.Stray && !blocked && !want.Withdraw && slices.Equal(ours.NextHops, hops) {
		return // as most are
	}
	c := Change{Prefixes: part.Prefixes, Cohort: cohort.ID, To: hops, Cause: want.Cause, Reason: want.Reason()}
	switch {
	case want.Withdraw && ours != nil:
		c.Op, c.From, c.To = Remove, ours.NextHops, nil
	case len(hops) == 0, ours == nil && blocked && !terms.Adopt:
	case ours == nil && !blocked:
		c.Op = Add
	case ours != nil && (ours.Stray || !slices.Equal(ours.NextHops, hops)):
		c.Op, c.From, c.Adopt = Replace, ours.NextHops, blocked && terms.Adopt
		c.Graceful = !blocked && want.keeps(ours.NextHops)
	case blocked && terms.Adopt:
		c.Op, c.From, c.Adopt = Replace, part.Foreign.NextHops, true
	}
	if c.Op != "" {
		c.Failure = want.failure(c.From)
		p.Changes = append(p.Changes, c)
	}
	if blocked && !terms.Adopt && (ours != nil || len(hops) > 0) {
		p.Foreign = append(p.Foreign, *part.Foreign)
	}
}
