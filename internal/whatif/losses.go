package whatif

import (
	"cmp"
	"slices"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// Limits of what an answer lists of losses: the worst.
const (
	maxLosses = 1000 // of a kind
	maxNamed  = 20   // VIPs or servers of one loss
)

// lose tries the loss of each server, and with atOnce 2 of every two. Of two it
// tells only what neither of them brings alone.
func (w *World) lose(atOnce, capacity int, enough func() bool) []api.Losses {
	w.wait(&api.SimulatedStep{})
	t := w.newTrial(capacity, enough)
	one := t.try(1, func(yield func(...int) bool) {
		for i := range t.servers {
			if !yield(i) {
				return
			}
		}
	})
	if atOnce == 1 {
		return []api.Losses{one}
	}
	return []api.Losses{one, t.try(2, func(yield func(...int) bool) {
		for i := range t.servers {
			for j := range i {
				if !yield(j, i) {
					return
				}
			}
		}
	})}
}

// A trial tries losses, of servers in the order of what they carry: those that
// matter most come first, if time is short.
type trial struct {
	losses   *steer.Losses
	world    *World
	servers  []topology.ServerName
	capacity int
	enough   func() bool
	already  bruises
	alone    map[topology.ServerName]bruises // what the loss of one brings
}

// Bruises are what a loss brings: VIPs without a server, by the index of their
// cohort, and servers with too much.
type bruises struct {
	unserved map[*steer.Cohort]bool
	over     map[string]bool
}

func (w *World) newTrial(capacity int, enough func() bool) *trial {
	t := &trial{losses: steer.NewLosses(w.input()), world: w, capacity: capacity, enough: enough, alone: map[topology.ServerName]bruises{}}
	shares := steer.Shares(w.in)
	slices.SortStableFunc(shares, func(a, b steer.Share) int { return cmp.Compare(b.VIPs, a.VIPs) })
	for _, share := range shares {
		if share.Takes { // who is lost already can be lost no more
			t.servers = append(t.servers, share.Server)
		}
	}
	t.already = t.look(w.in)
	return t
}

// look finds what is amiss.
func (t *trial) look(in steer.Input) bruises {
	found := bruises{map[*steer.Cohort]bool{}, map[string]bool{}}
	for _, cohort := range in.Cohorts.All() {
		if !served(in, cohort) {
			found.unserved[cohort] = true
		}
	}
	for _, share := range steer.Shares(in) {
		if overloaded(share, t.capacity) {
			found.over[string(share.Server)] = true
		}
	}
	return found
}

// try tries losses, each the indices of servers.
func (t *trial) try(atOnce int, all func(yield func(...int) bool)) api.Losses {
	found := api.Losses{AtOnce: atOnce, Possible: possible(len(t.servers), atOnce), Stranding: []api.Loss{}, Overloading: []api.Loss{}}
	all(func(places ...int) bool {
		if t.enough() {
			return false
		}
		found.Tried++
		lost := make([]topology.ServerName, len(places))
		for i, place := range places {
			lost[i] = t.servers[place]
		}
		slices.Sort(lost)
		add(&found, t.loss(lost))
		return true
	})
	finish(&found)
	return found
}

func possible(servers, atOnce int) int {
	if atOnce == 1 {
		return servers
	}
	return servers * (servers - 1) / 2
}

// loss tries one loss.
func (t *trial) loss(lost []topology.ServerName) api.Loss {
	without, before := t.losses.Without(lost...), t.world.in.Previous
	in := without.Input
	told := api.Loss{Servers: words(lost), Unserved: []string{}, Overloaded: []api.ServerLoad{}, Frozen: in.Previous.Frozen()}
	brought := bruises{map[*steer.Cohort]bool{}, map[string]bool{}}
	for _, cohort := range without.Concerned {
		if !slices.Equal(before.For(cohort).Servers, in.Previous.For(cohort).Servers) {
			told.Moved += len(cohort.Prefixes)
		}
		if !served(in, cohort) && !t.known(lost, func(b bruises) bool { return b.unserved[cohort] }) {
			brought.unserved[cohort] = true
			told.VIPs += len(cohort.Prefixes)
			told.Unserved = append(told.Unserved, labels(cohort, maxNamed-len(told.Unserved))...)
		}
	}
	for _, share := range without.Shares() {
		name := string(share.Server)
		if overloaded(share, t.capacity) && !t.known(lost, func(b bruises) bool { return b.over[name] }) {
			brought.over[name] = true
			told.Overloaded = append(told.Overloaded, t.world.load(share, t.capacity))
		}
	}
	slices.SortStableFunc(told.Overloaded, func(a, b api.ServerLoad) int { return cmp.Compare(excess(b), excess(a)) })
	told.Over = len(told.Overloaded)
	told.Overloaded = told.Overloaded[:min(maxNamed, told.Over)]
	if len(lost) == 1 {
		t.alone[lost[0]] = brought
	}
	return told
}

// known reports whether something is so without the loss, or by a part of it.
func (t *trial) known(lost []topology.ServerName, is func(bruises) bool) bool {
	if is(t.already) {
		return true
	}
	return len(lost) > 1 && slices.ContainsFunc(lost, func(name topology.ServerName) bool { return is(t.alone[name]) })
}

func labels(cohort *steer.Cohort, most int) []string {
	var all []string
	for _, entry := range cohort.Entries[:min(max(most, 0), len(cohort.Entries))] {
		all = append(all, label(entry))
	}
	return all
}

func excess(load api.ServerLoad) float64 { return load.VIPs - load.Most }

// add counts a loss, and keeps it if it is of those that are listed.
func add(found *api.Losses, loss api.Loss) {
	if loss.VIPs > 0 {
		found.Strand++
		found.Stranding = keepWorst(append(found.Stranding, loss), byVIPs, 2*maxLosses)
	}
	if loss.Over > 0 {
		found.Overload++
		found.Overloading = keepWorst(append(found.Overloading, loss), byExcess, 2*maxLosses)
	}
	if loss.VIPs == 0 && loss.Over == 0 {
		found.Harmless++
	}
}

func finish(found *api.Losses) {
	found.Stranding = keepWorst(found.Stranding, byVIPs, 0)
	found.Overloading = keepWorst(found.Overloading, byExcess, 0)
}

// keepWorst sorts losses, the worst first, and lets go of those past maxLosses,
// once there are more than most.
func keepWorst(losses []api.Loss, worse func(a, b api.Loss) int, most int) []api.Loss {
	if len(losses) <= most {
		return losses
	}
	slices.SortStableFunc(losses, worse)
	return losses[:min(maxLosses, len(losses))]
}

func byVIPs(a, b api.Loss) int { return cmp.Compare(b.VIPs, a.VIPs) }

func byExcess(a, b api.Loss) int {
	return cmp.Compare(excess(b.Overloaded[0]), excess(a.Overloaded[0]))
}
