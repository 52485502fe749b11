package steer

import (
	"cmp"
	"slices"

	"github.com/routesteer/routesteer/topology"
)

// Most cohorts, at most times, rest: they are where they belong, for no other reason, and
// nothing is known against any server that they belong to, or were at before. Of such a cohort the next decision
// wants the same, whatever else has happened, unless that disturbs it: something about one of
// these servers, or something that people ask of the cohort itself. So a decision copies what
// is wanted of all cohorts, in one piece, and decides for those alone that did not rest, or
// are disturbed.

// concerned are the cohorts to be decided anew, sorted.
func (d *decision) concerned() []*Cohort {
	if len(d.Previous.awake) == len(d.Cohorts.all) {
		return d.Cohorts.all
	}
	disturbed := slices.DeleteFunc(d.suspects(), func(cohort *Cohort) bool { return d.undisturbed(cohort, d.previous[cohort.index]) })
	return distinct(append(disturbed, d.Previous.awake...))
}

// stirring are those of the cohorts that do not rest now that they are decided.
func (d *decision) stirring(decided []*Cohort) []*Cohort {
	return slices.DeleteFunc(slices.Clone(decided), func(cohort *Cohort) bool {
		want := d.want.wants[cohort.index]
		return cohort.settled(want) && d.undisturbed(cohort, want)
	})
}

// settled reports whether what is wanted of the cohort is what is when all are well, and
// nothing is waited for.
func (c *Cohort) settled(want *Want) bool {
	return want.Cause == Settled && want.Path == "" && want.Next.IsZero() && slices.Equal(want.Servers, c.homes)
}

// suspects are the cohorts that may be disturbed: those of which something is asked, or
// that servers may carry which are not well in every respect.
func (d *decision) suspects() []*Cohort {
	var suspects []*Cohort
	for i, server := range d.Site.Servers {
		if !d.clear(i) || d.Drained[server.Name] != "" || d.anyLost(i) {
			suspects = append(suspects, d.Cohorts.by[i]...)
		}
	}
	for _, prefix := range d.Apart() {
		suspects = append(suspects, d.Cohorts.at(Place{VIP: prefix})...)
	}
	return suspects
}

// undisturbed reports whether nothing is known against any server that the cohort, of which
// so much is wanted, belongs to or has been at, nor asked of the cohort.
func (d *decision) undisturbed(vip *Cohort, want *Want) bool {
	if _, pinned := d.pin(vip); pinned {
		return false
	}
	return !slices.ContainsFunc(want.had, func(name topology.ServerName) bool { // its homes are among them
		return !d.noted(name, vip).whole() || d.takenOff(name, vip) != "" || d.anyLost(d.Cohorts.server(name, vip))
	})
}

// anyLost reports whether any address of one of the site's servers is.
func (d *decision) anyLost(server int) bool {
	return len(d.sheet.gone) > 0 && slices.ContainsFunc(d.Site.Servers[server].Addresses, d.lost)
}

// distinct sorts cohorts, each once.
func distinct(cohorts []*Cohort) []*Cohort {
	slices.SortFunc(cohorts, func(a, b *Cohort) int { return cmp.Compare(a.index, b.index) })
	return slices.Compact(cohorts)
}
