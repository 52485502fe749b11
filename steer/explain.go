package steer

import (
	"fmt"
	"slices"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// A Standing is what a server is to a VIP at one moment, and the one cause of it.
type Standing struct {
	Server   topology.ServerName
	Tier     string
	Chosen   bool // the VIP's traffic is wanted there
	Eligible bool // new traffic of the VIP may go there
	Awaited  bool // an operator let traffic return to it that is not there yet
	Role     Role
	Why      string    // the cause, for operators
	Due      time.Time // when it gets the traffic if all stays as it is; zero for no set time
}

// A Role is the kind of a Standing: each server has one.
type Role string

// The roles of servers that have the traffic.
const (
	RolePinned   Role = "pinned"   // an operator wants the VIP there
	RoleHome     Role = "home"     // the VIP belongs there when all are well
	RoleChosen   Role = "chosen"   // the best there is
	RoleSharing  Role = "sharing"  // one of several, in ecmp mode
	RoleHolding  Role = "holding"  // a better server is back, and has to wait
	RoleUnproven Role = "unproven" // nothing is known of it, so nothing against it
	RoleLeft     Role = "left"     // it is not fit for the traffic, and nobody else is
	RoleWithheld Role = "withheld" // it is not fit for the traffic, but failures are not believed
	RoleJudged   Role = "judged"   // all were unfit, others are well again, and it is about to be checked once more
	RoleLeaving  Role = "leaving"  // the next decision takes the traffic away
)

// The roles of servers that do not have it.
const (
	RoleOut       Role = "out of service" // by an operator, the file, or its weight
	RoleDown      Role = "down"
	RoleUnknown   Role = "unknown"   // no verdict yet
	RoleReturning Role = "returning" // better than who has the traffic, and gets it when Due
	RoleByHand    Role = "by hand"   // better, but failback is manual or never
	RoleStandby   Role = "standby"   // of a tier behind the best that can carry the traffic
	RoleSpare     Role = "spare"     // as good as who has the traffic: a VIP moves only to something better
	RoleBarred    Role = "barred"    // fit, but the VIP is pinned elsewhere, failures are not believed, or those who have the traffic are judged once more
	RoleUndecided Role = "undecided" // fit, but nothing is decided for the VIP yet
)

// Explain says of each server of the cohort, tier by tier, what it is to it by
// in.Previous, the assignment in force.
func Explain(in Input, cohort *Cohort) []Standing {
	if in.Cohorts == nil {
		panic("steer: Explain needs the cohorts of the site")
	}
	d := newDecision(in)
	s := d.survey(cohort)
	var standings []Standing
	for _, tier := range cohort.Tiers {
		for _, name := range tier.Servers {
			standing := s.standing(name)
			standing.Server, standing.Tier, standing.Eligible = name, tier.Name, in.Eligible(name, cohort)
			standing.Chosen = slices.Contains(s.want.Servers, name)
			standing.Awaited = in.awaited(name, cohort)
			standings = append(standings, standing)
		}
	}
	return standings
}

// A survey is what a decision about one cohort goes by.
type survey struct {
	*decision
	vip      *Cohort
	want     Want                  // in force
	holding  []topology.ServerName // those who have the traffic, and may keep it
	best     int                   // the best tier with an eligible server; -1 for none
	eligible []topology.ServerName // of the best tier
	better   []topology.ServerName // that the traffic would rather be with
}

func (d *decision) survey(vip *Cohort) survey {
	s := survey{decision: d, vip: vip, want: *d.previous[vip.index]}
	s.holding = d.holding(s.want.Servers, vip)
	s.best, s.eligible = d.bestTier(vip)
	if len(s.holding) > 0 {
		s.better = d.better(vip, s.holding)
	}
	return s
}

func (s survey) standing(name topology.ServerName) Standing {
	switch {
	case slices.Contains(s.want.Servers, name) && s.want.Cause == Pinned:
		return Standing{Role: RolePinned, Why: s.want.Why}
	case slices.Contains(s.want.Servers, name) && s.holds(name, s.vip):
		return s.well(name)
	case slices.Contains(s.want.Servers, name):
		return s.unfit(name)
	case !s.Eligible(name, s.vip):
		return s.away(name)
	case s.want.Cause == Pinned:
		return Standing{Role: RoleBarred, Why: "the VIP is " + s.want.Why}
	case len(s.holding) == 0:
		return s.idle()
	default:
		return s.behind(name)
	}
}

// well is why a server has the traffic that may have it.
func (s survey) well(name topology.ServerName) Standing {
	tier := s.vip.Tiers[tierOf(s.vip, name)].Name
	switch {
	case !slices.Contains(s.holding, name):
		return Standing{Role: RoleLeaving, Why: "it is about to leave for " + names(s.holding)}
	case s.verdict(name, s.vip) == health.Unknown:
		return Standing{Role: RoleUnproven, Why: "no verdict yet, and nothing against it: traffic that is there stays"}
	case s.want.Cause == Waiting:
		return Standing{Role: RoleHolding, Why: s.want.Why}
	case s.vip.Mode == topology.ECMP:
		return Standing{Role: RoleSharing, Why: fmt.Sprintf("all eligible servers of %s share it by weight", tier)}
	case s.vip.home == name:
		return Standing{Role: RoleHome, Why: fmt.Sprintf("it belongs there when all are well (%s)", tier)}
	default:
		return Standing{Role: RoleChosen, Why: s.want.Why}
	}
}

// unfit is why a server still has the traffic that should not have it.
func (s survey) unfit(name topology.ServerName) Standing {
	plight := s.plight(name, s.vip)
	switch {
	case s.disbelieved():
		return Standing{Role: RoleWithheld, Why: s.want.Why}
	case s.best < 0 && s.vip.OnAllDown == topology.FirstTier && !s.anyUp(s.vip, s.want.Servers):
		return Standing{Role: RoleLeft, Why: plight + ", but no server is eligible: the traffic is sent to the first tier"}
	case s.best < 0:
		return Standing{Role: RoleLeft, Why: plight + ", but no server is eligible: the route stays as it is"}
	case s.Now.Before(s.comingBack(s.vip, s.want.Servers, s.eligible)):
		return Standing{Role: RoleJudged, Why: fmt.Sprintf("%s answers again; whether it moves there is decided by the next check of %s", names(s.eligible), name)}
	default:
		return Standing{Role: RoleLeaving, Why: plight + ": it is about to leave"}
	}
}

// disbelieved reports whether failures move nothing of the VIP.
func (s survey) disbelieved() bool { return s.want.Frozen || s.want.Cause == Unproven }

// away is why a server cannot get the traffic.
func (s survey) away(name topology.ServerName) Standing {
	standing := Standing{Role: RoleDown, Why: s.Against(name, s.vip)}
	switch {
	case s.Off(name, s.vip) != "":
		standing.Role = RoleOut
	case s.verdict(name, s.vip) == health.Unknown:
		standing.Role = RoleUnknown
	}
	if pin, pinned := s.pin(s.vip); pinned && pin.Server == name {
		standing.Why += "; the VIP is pinned to it, and goes there as soon as it can"
	}
	return standing
}

// idle is why a server that could get the traffic does not, while nobody who has
// it may.
func (s survey) idle() Standing {
	switch {
	case s.disbelieved():
		return Standing{Role: RoleBarred, Why: s.want.Why}
	case s.want.Cause == KeptDown && len(s.want.Servers) > 0:
		return Standing{Role: RoleBarred, Why: fmt.Sprintf("it answers again, and %s, which has the traffic, is checked once more before", names(s.want.Servers))}
	case s.want.Why != "":
		return Standing{Role: RoleUndecided, Why: s.want.Why}
	default:
		return Standing{Role: RoleUndecided, Why: "nothing is decided yet"}
	}
}

// behind is why a server that could get the traffic does not, while others have
// it.
func (s survey) behind(name topology.ServerName) Standing {
	rank, now := tierOf(s.vip, name), tierOf(s.vip, s.holding[0])
	switch {
	case slices.Contains(s.better, name):
		return s.waits(name)
	case s.vip.Mode == topology.ECMP && rank == now && s.joinsFirst(name):
		return s.joins(name)
	case rank > s.best:
		best := s.vip.Tiers[s.best]
		return Standing{Role: RoleStandby, Why: fmt.Sprintf("%s: %s of %s can carry it", s.vip.Tiers[rank].Name, names(s.eligible), best.Name)}
	case rank > now: // who has it is not eligible: nothing is known of it
		return Standing{Role: RoleStandby, Why: fmt.Sprintf("%s: it stays with %s of %s", s.vip.Tiers[rank].Name, names(s.holding), s.vip.Tiers[now].Name)}
	default:
		return Standing{Role: RoleSpare, Why: s.noBetter(name)}
	}
}

// noBetter is why a VIP in single mode is not with a server of the same tier as
// the one that it is with.
func (s survey) noBetter(name topology.ServerName) string {
	has := s.holding[0]
	if has == s.vip.home {
		return fmt.Sprintf("%s is the VIP's home, and has it", has)
	}
	order := s.load.order(s.vip, []topology.ServerName{name, has})
	if order[0] == has {
		return fmt.Sprintf("%s comes first in the VIP's order, and has it", has)
	}
	if count, most, _ := s.load.of(name, s.vip); count > most {
		return fmt.Sprintf("it comes before %s in the VIP's order, but is full: it has %d VIPs, and takes more up to %d", has, count, most)
	}
	return fmt.Sprintf("it is no better than %s, which has it: a VIP moves only to a better tier or to its home", has)
}

// waits is what a server waits for that is better than who has the traffic.
func (s survey) waits(name topology.ServerName) Standing {
	due, ok := s.dueOf(name)
	if !ok {
		return Standing{Role: RoleByHand, Why: fmt.Sprintf("%s is back; failback is %s (routesteer failback %s)", name, s.vip.Failback.Mode, s.vip.Prefix)}
	}
	for _, other := range s.better {
		if first, ok := s.dueOf(other); s.vip.Mode == topology.Single && ok && first.Before(due) {
			return Standing{Role: RoleSpare, Why: fmt.Sprintf("%s, which is as good, gets the traffic back before it", other)}
		}
	}
	if !due.After(s.Now) {
		return Standing{Role: RoleReturning, Due: s.Now, Why: fmt.Sprintf("%s is back, and gets its traffic with the next decision", name)}
	}
	return Standing{Role: RoleReturning, Due: due, Why: s.waitingFor(s.vip, name)}
}

// joinsFirst reports whether a server shares the traffic with those who have it before
// somebody better gets all of it.
func (s survey) joinsFirst(name topology.ServerName) bool {
	due, _ := s.dueOf(name)
	return !slices.ContainsFunc(s.better, func(better topology.ServerName) bool {
		first, ok := s.dueOf(better)
		return ok && !first.After(due)
	})
}

// joins is what a server waits for that is to share the traffic with those who have it,
// while a better tier waits.
func (s survey) joins(name topology.ServerName) Standing {
	due, _ := s.dueOf(name)
	if !due.After(s.Now) {
		return Standing{Role: RoleReturning, Due: s.Now, Why: fmt.Sprintf("%s is back, and joins the others with the next decision", name)}
	}
	return Standing{Role: RoleReturning, Due: due, Why: fmt.Sprintf("%s is back, and joins the others once it has been healthy for %s", name, s.vip.Failback.After)}
}

// dueOf is when one of the better servers may have the traffic back; false for
// never without an operator.
func (s survey) dueOf(name topology.ServerName) (time.Time, bool) {
	joins := s.vip.Mode == topology.ECMP && tierOf(s.vip, name) == tierOf(s.vip, s.holding[0])
	return s.due(s.vip, name, joins)
}
