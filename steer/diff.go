package steer

import "slices"

// A Plan is what makes a router's routes equal an Assignment. The zero Plan
// has nothing to do.
type Plan struct {
	Changes []Change // sorted by their first prefix
	Foreign []Route  // routes in the way that are not ours to touch, sorted
}

// Diff compares what we want with what a router has, a Table of the same
// cohorts. Prefixes that the Assignment claims nothing for are left as they are.
// A foreign route in the way is reported, and its prefix left alone, unless
// adopt says to take it over; a route of ours beside it is still kept up to
// date.
//
// It gives one change for each cohort, or for each part of it that is in the
// same wrong state.
func Diff(want Assignment, have *Table, adopt bool) Plan {
	if want.cohorts == nil {
		return Plan{}
	}
	if have.cohorts != want.cohorts {
		panic("steer: an assignment is compared with a table of other cohorts")
	}
	var plan Plan
	for i, want := range want.wants {
		for _, part := range have.parts[i] {
			plan.add(have.cohorts.all[i], want, part, adopt)
		}
	}
	slices.SortFunc(plan.Changes, func(a, b Change) int { return ComparePrefix(a.Prefixes[0], b.Prefixes[0]) })
	SortRoutes(plan.Foreign)
	return plan
}

// add adds what is to be done for one part of a cohort.
func (p *Plan) add(cohort *Cohort, want *Want, part Part, adopt bool) {
	c := Change{Prefixes: part.Prefixes, Cohort: cohort.ID, To: want.NextHops, Failure: want.Failure, Cause: want.Cause, Reason: want.Reason()}
	ours, blocked := part.Ours, part.Foreign != nil
	switch {
	case want.Withdraw && ours != nil:
		c.Op, c.From, c.To = Remove, ours.NextHops, nil
	case len(want.NextHops) == 0, ours == nil && blocked && !adopt:
	case ours == nil && !blocked:
		c.Op = Add
	case ours != nil && (ours.Stray || !slices.Equal(ours.NextHops, want.NextHops)):
		c.Op, c.From, c.Adopt = Replace, ours.NextHops, blocked && adopt
		c.Graceful = !blocked && want.keeps(ours.NextHops)
	case blocked && adopt:
		c.Op, c.From, c.Adopt = Replace, part.Foreign.NextHops, true
	}
	if c.Op != "" {
		p.Changes = append(p.Changes, c)
	}
	if blocked && !adopt && (ours != nil || len(want.NextHops) > 0) {
		p.Foreign = append(p.Foreign, *part.Foreign)
	}
}
