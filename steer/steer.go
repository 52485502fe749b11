// Package steer decides where each VIP's traffic should go, and what must
// change on a router to send it there.
//
// It is pure: Desired is a total function of its Input, Diff of its arguments.
// The same input gives the same output, whatever the order of events or of
// the file, so two controllers that see the same agree without talking.
//
//	Adopt    routes as found                ─► Assignment to start from
//	Desired  site, health, admin, the last  ─► Assignment and reasons
//	Diff     Assignment, a router's routes  ─► Changes
//
// VIPs that always move together are a Cohort, and are decided, compared and
// changed as one. Of cohorts that rest where they belong, a decision looks at
// those alone that something has happened to: see rest.go. What costs as much as
// there are prefixes, NewCohorts and NewTable, is done beforehand.
package steer

import (
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// An Input is all that Desired looks at. It changes none of it.
type Input struct {
	Site     *topology.Site
	Cohorts  *Cohorts // of Site and Will.Apart; nil has them made anew, at a cost in proportion to the number of VIPs
	Health   Health
	Will     // of operators and of the file
	Witness  Witness
	Previous Assignment // the last one, or what Adopt found; zero at the very first
	Now      time.Time

	sheet *sheet // of the decision that is being made; nil while none is
}

// Health is what steer needs to know of the servers; *health.Board is one.
type Health interface {
	State(health.Target) health.State
	// Lost reports whether another address of the server should be its next hop.
	Lost(netip.Addr) bool
	// WellSince is since when an address that is not lost is well again; zero if
	// it was never seen otherwise.
	WellSince(netip.Addr) time.Time
}

// A Summary is a Health that can say of a server what is so for all VIPs: most need no
// look of their own then. *health.Board is one.
type Summary interface {
	Health
	Standing(topology.ServerName) health.Standing
}

var _ Summary = (*health.Board)(nil)

// A Want is what we want for the prefixes of one cohort. The zero Want claims nothing: routes
// stay as they are found.
type Want struct {
	Servers  []topology.ServerName // sorted; nil to claim nothing
	NextHops []NextHop             // sorted; what Servers come to
	Withdraw bool                  // no route at all is wanted; Servers is nil
	Cause    Cause
	Why      string    // the reason, for operators
	Path     string    // why a server is reached by another address than its first; "" when none is
	Since    time.Time // when Servers last changed; zero if they were found so
	Next     time.Time // when to decide again though nothing happens; zero for never
	Frozen   bool      // a move was called for and withheld
	Failure  bool      // a failure, and nobody's word, last changed by whom or by which address the traffic is carried; or, as found, may have

	// Keep are addresses, sorted, of the servers that have or have had the traffic: those at
	// which connections may stay though it moves away. One that is neither of these
	// nor Gone leaves connections where they are, if they are left there already.
	Keep []netip.Addr
	had  []topology.ServerName // servers that have or have had the traffic, sorted

	taken []netip.Addr // of those of had that people have taken out of service; nil without Failure
}

// keeps reports whether connections at all of the next hops may stay.
func (w Want) keeps(hops []NextHop) bool {
	return len(hops) > 0 && !slices.ContainsFunc(hops, func(h NextHop) bool { return !slices.Contains(w.Keep, h.Address) })
}

// equal reports whether the two say the same in every respect.
func (w *Want) equal(b *Want) bool {
	return slices.Equal(w.Servers, b.Servers) && slices.Equal(w.NextHops, b.NextHops) && w.Withdraw == b.Withdraw &&
		w.Cause == b.Cause && w.Why == b.Why && w.Path == b.Path && w.Since.Equal(b.Since) && w.Next.Equal(b.Next) &&
		w.Frozen == b.Frozen && w.Failure == b.Failure && slices.Equal(w.Keep, b.Keep) && slices.Equal(w.had, b.had) && slices.Equal(w.taken, b.taken)
}

// failure reports whether a failure is why routes to these next hops are to change: not if
// people have since taken the servers out of service that they are to leave.
func (w *Want) failure(from []NextHop) bool {
	asked := false
	for _, hop := range from {
		stays := slices.ContainsFunc(w.NextHops, func(h NextHop) bool { return h.Address == hop.Address })
		if !stays && !slices.Contains(w.taken, hop.Address) {
			return w.Failure
		}
		asked = asked || !stays
	}
	return w.Failure && !asked
}

// Reason is Why and Path, for operators.
func (w Want) Reason() string {
	if w.Path == "" {
		return w.Why
	}
	return w.Why + "; " + w.Path
}

// A Cause is the kind of reason for a Want.
type Cause string

const (
	Unclaimed Cause = "unclaimed" // nobody knows yet
	Settled   Cause = "settled"   // the best there is
	Failover  Cause = "failover"  // the former server is lost
	Drained   Cause = "drained"   // the former server is drained
	Pinned    Cause = "pinned"    // an operator wants it there
	Returned  Cause = "failback"  // a better server is back
	Waiting   Cause = "waiting"   // a better server is back; the policy holds traffic here for now
	KeptDown  Cause = "kept"      // nobody is eligible: left where it is
	Withdrawn Cause = "withdrawn" // nobody is eligible: removed
	Frozen    Cause = "frozen"    // too much is lost at once to believe it
	Unproven  Cause = "unproven"  // a witness is being asked whether the loss is ours
)

// Desired decides where every VIP's traffic should go.
//
// The best tier with an eligible server wins; eligible is up and not drained.
// A VIP leaves a server that is up or unknown only by failback, and never for
// something no better. The VIPs of lost servers spread over the survivors in
// proportion to weight, and only they move.
func Desired(in Input) Assignment {
	if in.Cohorts == nil {
		in.Cohorts = NewCohorts(in.Site, in.Apart()...)
	}
	d := newDecision(in)
	concerned := d.concerned()
	d.decide(concerned)
	d.want.awake = d.stirring(concerned)
	return d.want
}

// decide decides anew for some cohorts: first for all that stay where they are,
// which are, with those not decided anew, the load that the others are spread
// over.
func (d *decision) decide(some []*Cohort) {
	var moving []*Cohort
	for _, cohort := range some {
		d.load.move(cohort, d.previous[cohort.index].Servers, nil)
		if want, stays := d.stay(cohort); stays {
			d.set(cohort, want)
		} else {
			moving = append(moving, cohort)
		}
	}
	for _, cohort := range moving {
		d.set(cohort, d.move(cohort))
	}
}

func (in *Input) verdict(name topology.ServerName, vip *Cohort) health.Verdict {
	return in.noted(name, vip).verdict()
}

// Eligible reports whether new traffic of the cohort may go to the server.
func (in *Input) Eligible(name topology.ServerName, vip *Cohort) bool {
	return in.noted(name, vip).eligible() && in.takenOff(name, vip) == ""
}

// AnyEligible reports whether new traffic of the cohort may go to any server.
func (in *Input) AnyEligible(vip *Cohort) bool {
	tier, _ := in.bestTier(vip)
	return tier >= 0
}

// Holds reports whether traffic of the cohort that is at the server may stay:
// nothing is known against it.
func (in *Input) Holds(name topology.ServerName, vip *Cohort) bool { return in.holds(name, vip) }

func (in *Input) holds(name topology.ServerName, vip *Cohort) bool {
	return vip.has(name) && in.verdict(name, vip) != health.Down && in.Off(name, vip) == ""
}

// bestTier returns the index of the best tier with an eligible server, and
// its eligible servers; -1 if there is none.
func (in *Input) bestTier(vip *Cohort) (int, []topology.ServerName) {
	seat := 0
	for i, tier := range vip.Tiers {
		var eligible []topology.ServerName
		for _, name := range tier.Servers {
			if n := in.notedAt(seat, name, vip); n.eligible() && in.takenOff(name, vip) == "" {
				eligible = append(eligible, name)
			}
			seat++
		}
		if len(eligible) > 0 {
			return i, eligible
		}
	}
	return -1, nil
}

// has reports whether the server is in any tier.
func (c *Cohort) has(name topology.ServerName) bool { return tierOf(c, name) < len(c.Tiers) }

func tierOf(vip *Cohort, name topology.ServerName) int {
	for i, tier := range vip.Tiers {
		if slices.Contains(tier.Servers, name) {
			return i
		}
	}
	return len(vip.Tiers)
}
