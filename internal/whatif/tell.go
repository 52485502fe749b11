package whatif

import (
	"fmt"
	"slices"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// maxMoves is how many moves an answer lists; more are counted.
const maxMoves = 50_000

// tell adds the moves that lead from one assignment to the next.
func (w *World) tell(told *api.SimulatedStep, before, next steer.Assignment) {
	for _, cohort := range next.Changed(before) {
		was, want := before.For(cohort), next.For(cohort)
		if slices.Equal(was.NextHops, want.NextHops) && slices.Equal(was.Servers, want.Servers) && was.Withdraw == want.Withdraw {
			continue
		}
		for _, entry := range cohort.Entries {
			told.Moved += len(entry.Prefixes)
			if w.moves++; w.moves > maxMoves {
				told.LeftOut++
				continue
			}
			told.Moves = append(told.Moves, api.SimulatedMove{At: w.in.Now.Sub(w.began).String(), Move: api.Move{
				VIP: entry.VIP.Prefix.String(), VIPs: several(len(entry.Prefixes)), Name: entry.VIP.Name,
				From: words(was.Servers), To: words(want.Servers), Reason: want.Reason(),
			}})
		}
	}
}

// situation is how things stand: the servers' load, and who is left without one.
func (w *World) situation(capacity int) api.Situation {
	in := w.in
	s := api.Situation{Load: []api.ServerLoad{}, Unserved: []api.Unserved{}, Frozen: in.Previous.Frozen()}
	for _, share := range steer.Shares(in) {
		s.Load = append(s.Load, w.load(share, capacity))
	}
	for _, cohort := range in.Cohorts.All() {
		if served(in, cohort) {
			continue
		}
		for _, entry := range cohort.Entries {
			s.Unserved = append(s.Unserved, api.Unserved{
				VIP: entry.VIP.Prefix.String(), VIPs: several(len(entry.Prefixes)), Name: entry.VIP.Name, Why: in.Previous.For(cohort).Why,
			})
		}
	}
	return s
}

func (w *World) load(share steer.Share, capacity int) api.ServerLoad {
	load := api.ServerLoad{Server: string(share.Server), VIPs: share.VIPs, Fair: share.Fair, Most: most(share, capacity), State: "in service"}
	switch off := w.in.Drained[share.Server]; {
	case off != "":
		load.State = off
	case !share.Takes:
		load.State = "out" // down, or of no weight, for every VIP
	}
	load.Overloaded = overloaded(share, capacity)
	return load
}

// overloaded reports whether a server has too much. Who may carry nothing is not
// helped by less.
func overloaded(share steer.Share, capacity int) bool {
	return share.Takes && share.VIPs > most(share, capacity)
}

// most is what a server can carry: its capacity, or what spreading lets it have.
func most(share steer.Share, capacity int) float64 {
	if capacity > 0 {
		return float64(capacity)
	}
	return share.Most()
}

// served reports whether traffic of the cohort goes to a server that may carry it.
func served(in steer.Input, cohort *steer.Cohort) bool {
	return slices.ContainsFunc(in.Previous.For(cohort).Servers, func(name topology.ServerName) bool { return in.Holds(name, cohort) })
}

// stranded lists the VIPs, with the reason, that were with servers and have nowhere
// better to go, though the servers were drained.
func (w *World) stranded(before steer.Assignment, servers []topology.ServerName) []string {
	var left []string
	for _, cohort := range w.in.Cohorts.All() {
		want := w.in.Previous.For(cohort)
		stays := func(name topology.ServerName) bool {
			had := slices.Contains(before.For(cohort).Servers, name) && w.in.Off(name, cohort) != ""
			return had && (!w.in.AnyEligible(cohort) || slices.Contains(want.Servers, name))
		}
		if !slices.ContainsFunc(servers, stays) {
			continue
		}
		for _, entry := range cohort.Entries {
			left = append(left, fmt.Sprintf("%s: %s", label(entry), want.Why))
		}
	}
	slices.Sort(left)
	return left
}

// label names an entry of the file: by its prefix, or the first of many.
func label(entry topology.Entry) string {
	if more := len(entry.Prefixes) - 1; more > 0 {
		return fmt.Sprintf("%s and %d more", entry.VIP.Prefix, more)
	}
	return entry.VIP.Prefix.String()
}

// several is a number as the API tells it: 0 where there is but one.
func several(n int) int {
	if n == 1 {
		return 0
	}
	return n
}

func words(names []topology.ServerName) []string {
	words := make([]string, len(names))
	for i, name := range names {
		words[i] = string(name)
	}
	return words
}
