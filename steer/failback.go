package steer

import (
	"fmt"
	"slices"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// A wait is a failback that is not due.
type wait struct {
	why string
	due time.Time // zero when only an operator can end it
}

// failback returns the servers that traffic should be with instead of
// holding, nil to leave it, and what is waited for.
func (d *decision) failback(vip *Cohort, holding []topology.ServerName) ([]topology.ServerName, wait) {
	better := d.better(vip, holding)
	var ripe []topology.ServerName
	var waiting wait
	for _, name := range better {
		due, ok := d.due(vip, name, vip.Mode == topology.ECMP && tierOf(vip, name) == tierOf(vip, holding[0]))
		switch {
		case ok && !due.After(d.Now):
			ripe = append(ripe, name)
		case ok && (waiting.due.IsZero() || due.Before(waiting.due)):
			waiting = wait{d.waitingFor(vip, name), due}
		case !ok && vip.Failback.Mode == topology.FailbackManual && waiting.why == "":
			waiting.why = fmt.Sprintf("%s is back; failback is manual (routesteer failback %s)", name, vip.Prefix)
		}
	}
	switch {
	case len(ripe) == 0:
		all, due := d.rejoined(vip, holding)
		waiting.due = earlier(waiting.due, due)
		return all, waiting
	case vip.Mode == topology.Single:
		return []topology.ServerName{d.load.peek(vip, ripe)}, wait{}
	case tierOf(vip, ripe[0]) == tierOf(vip, holding[0]):
		return append(slices.Clone(holding), ripe...), waiting
	default:
		all, due := d.accompanied(vip, ripe, better)
		waiting.due = earlier(waiting.due, due)
		return all, waiting
	}
}

// accompanied adds to the servers that traffic is with, or returns to, those others of their
// tier that join them. It also says when the next one is about to.
func (d *decision) accompanied(vip *Cohort, with, others []topology.ServerName) ([]topology.ServerName, time.Time) {
	var next time.Time
	for _, name := range others {
		due, ok := d.due(vip, name, true)
		switch {
		case !ok || slices.Contains(with, name):
		case due.After(d.Now):
			next = earlier(next, due)
		default:
			with = append(with, name)
		}
	}
	return with, next
}

// waitingFor says what the failback to the server waits for.
func (d *decision) waitingFor(vip *Cohort, name topology.ServerName) string {
	ripe := d.state(name, vip).Since.Add(vip.Failback.After)
	switch {
	case !ripe.After(d.Now):
		return fmt.Sprintf("%s is back, and gets its traffic between %s", name, vip.Failback.Between)
	case d.recalled(name, vip):
		return fmt.Sprintf("%s is back, and gets its traffic once it has been healthy for %s", name, vip.Failback.After)
	default:
		return fmt.Sprintf("%s is back, and gets its traffic once it has been healthy for %s%s", name, vip.Failback.After, vip.Failback.Between.Clause())
	}
}

// rejoined are the servers and those of their tier that join them, while a better
// tier waits; nil if none does. It also says when another one is about to.
func (d *decision) rejoined(vip *Cohort, holding []topology.ServerName) ([]topology.ServerName, time.Time) {
	if vip.Mode != topology.ECMP {
		return nil, time.Time{}
	}
	companions := slices.DeleteFunc(slices.Clone(vip.Tiers[tierOf(vip, holding[0])].Servers), func(name topology.ServerName) bool {
		return !d.Eligible(name, vip)
	})
	all, next := d.accompanied(vip, slices.Clone(holding), companions)
	if len(all) == len(holding) {
		return nil, next
	}
	return all, next
}

// better returns the eligible servers that traffic would rather be with than
// where it is: in single mode its home alone, or else any of a better tier.
func (d *decision) better(vip *Cohort, holding []topology.ServerName) []topology.ServerName {
	if holding[0] == vip.home { // as most are
		return nil
	}
	tier, eligible := d.bestTier(vip)
	now := tierOf(vip, holding[0])
	if tier < 0 || tier > now {
		return nil
	}
	eligible = slices.DeleteFunc(eligible, func(name topology.ServerName) bool { return slices.Contains(holding, name) })
	if vip.Mode == topology.ECMP || len(eligible) == 0 {
		return eligible
	}
	home := vip.home
	switch {
	case slices.Contains(eligible, home):
		return []topology.ServerName{home}
	case tier < now:
		return eligible
	default:
		return nil // the same tier, and not its home: no better
	}
}

// due is when the failback policy gives the server its traffic back; false
// for never without an operator.
//
// Joining the others of an ecmp tier is no failback: no connection needs to
// move for it but those of the new share, and no operator is asked.
func (d *decision) due(vip *Cohort, name topology.ServerName, joins bool) (time.Time, bool) {
	byHand := vip.Failback.Mode == topology.FailbackManual || vip.Failback.Mode == topology.FailbackNever
	if d.hurried(name, vip) || byHand && (joins || d.recalled(name, vip)) {
		return d.Now, true
	}
	switch vip.Failback.Mode {
	case topology.FailbackImmediate:
		return d.Now, true
	case topology.FailbackAfter:
		ripe := d.state(name, vip).Since.Add(vip.Failback.After)
		if joins || d.recalled(name, vip) {
			return ripe, true
		}
		return vip.Failback.Between.Next(later(ripe, d.Now)), true
	case topology.FailbackManual, topology.FailbackNever:
		return time.Time{}, false
	default:
		panic("steer: no such failback mode: " + string(vip.Failback.Mode))
	}
}
