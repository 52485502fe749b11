package whatif

import (
	"net/netip"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// A supposed is a Health over which steps are laid: what is known of servers,
// but for what is supposed of some.
type supposed struct {
	real  steer.Health
	said  map[topology.ServerName][]saying // in the order of time
	owner map[netip.Addr]topology.ServerName

	// Checks of servers go on: the last ones began at that time. Zero as long as
	// only the real ones count.
	checked time.Time
}

// simulated is why a server is down by a step.
const simulated = "simulated"

// A saying is what a step says of a server, for all VIPs.
type saying struct {
	verdict health.Verdict
	at      time.Time
}

func suppose(real steer.Health, site *topology.Site) *supposed {
	return &supposed{real: real, said: map[topology.ServerName][]saying{}, owner: steer.Owners(site)}
}

func (s *supposed) say(name topology.ServerName, verdict health.Verdict, at time.Time) {
	s.said[name] = append(s.said[name], saying{verdict, at})
}

// State implements steer.Health.
func (s *supposed) State(target health.Target) health.State {
	state := s.real.State(target)
	for _, saying := range s.said[target.Server] {
		if state.Verdict == saying.verdict {
			continue
		}
		// The last check is the one that changed the verdict.
		state = health.State{Verdict: saying.verdict, Since: saying.at, Fell: state.Fell, LastCheck: saying.at, Word: state.Word}
		if saying.verdict == health.Down {
			state.Why, state.Fell = simulated, saying.at
		}
	}
	if s.checked.After(state.LastCheck) {
		state.LastCheck, state.Streak = s.checked, 0
	}
	return state
}

// Standing implements steer.Summary, for servers of which nothing is supposed.
func (s *supposed) Standing(name topology.ServerName) health.Standing {
	summary, is := s.real.(steer.Summary)
	if !is || len(s.said[name]) > 0 {
		return health.Standing{}
	}
	return summary.Standing(name)
}

// Lost implements steer.Health: a server that is up by a step is so by all of its
// addresses.
func (s *supposed) Lost(address netip.Addr) bool {
	return s.real.Lost(address) && s.risen(address).IsZero()
}

// WellSince implements steer.Health.
func (s *supposed) WellSince(address netip.Addr) time.Time {
	if risen := s.risen(address); !risen.IsZero() && s.real.Lost(address) {
		return risen
	}
	return s.real.WellSince(address)
}

// risen is when a step first said that the address's server is up; zero for
// never.
func (s *supposed) risen(address netip.Addr) time.Time {
	for _, saying := range s.said[s.owner[address]] {
		if saying.verdict == health.Up {
			return saying.at
		}
	}
	return time.Time{}
}

// An allWell is the Health of a site where all servers have been up for long.
type allWell struct{ since time.Time }

func (w allWell) State(health.Target) health.State {
	return health.State{Verdict: health.Up, Since: w.since, LastCheck: w.since}
}

func (allWell) Standing(topology.ServerName) health.Standing {
	return health.Standing{Clear: true, Sound: true}
}

func (allWell) Lost(netip.Addr) bool { return false }

func (allWell) WellSince(netip.Addr) time.Time { return time.Time{} }
