package steer

import (
	"maps"
	"slices"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// RecallLasts is how long an operator's word that traffic returns counts for a
// server that is not well yet: longer than a machine takes to boot and to be
// looked at, and not so long that traffic would move when nobody remembers why.
const RecallLasts = time.Hour

// A Recall is traffic that an operator let go back, and when: by an undrain, an
// unpin, the end of a maintenance or a failback. It lasts until the server was well
// once, because what it is lost for later is another matter, and no longer than
// RecallLasts.
type Recall struct {
	Servers map[topology.ServerName]time.Time // to a server, of all its VIPs; to "", to any server
	VIPs    map[Place]time.Time               // of one VIP; to the server "", to any
}

// Add lets traffic go back to a place at a time: to any server without one, of all
// VIPs without one.
func (r *Recall) Add(place Place, at time.Time) {
	if place.VIP.IsValid() {
		if r.VIPs == nil {
			r.VIPs = map[Place]time.Time{}
		}
		r.VIPs[place] = at
		return
	}
	if r.Servers == nil {
		r.Servers = map[topology.ServerName]time.Time{}
	}
	r.Servers[place.Server] = at
}

// DeleteFunc takes back what is over.
func (r *Recall) DeleteFunc(over func(Place, time.Time) bool) {
	maps.DeleteFunc(r.Servers, func(name topology.ServerName, at time.Time) bool { return over(Place{Server: name}, at) })
	maps.DeleteFunc(r.VIPs, over)
}

// since is when traffic of the cohort was last let go back to the server; zero for
// never.
func (r Recall) since(name topology.ServerName, vip *Cohort) time.Time {
	at := later(r.Servers[""], r.Servers[name])
	if len(r.VIPs) == 0 {
		return at
	}
	for _, entry := range vip.Entries {
		at = later(at, later(r.VIPs[Place{"", entry.VIP.Prefix}], r.VIPs[Place{name, entry.VIP.Prefix}]))
	}
	return at
}

// recall is when an operator let traffic of the cohort go back to the server by a
// word that still counts; zero for never.
func (in *Input) recall(r Recall, name topology.ServerName, vip *Cohort) time.Time {
	at := r.since(name, vip)
	if at.IsZero() || in.Now.Sub(at) >= RecallLasts || in.state(name, vip).Fell.After(at) {
		return time.Time{}
	}
	return at
}

func (in *Input) recalled(name topology.ServerName, vip *Cohort) bool {
	return !in.recall(in.Recalled, name, vip).IsZero()
}

func (in *Input) hurried(name topology.ServerName, vip *Cohort) bool {
	return !in.recall(in.Hurried, name, vip).IsZero()
}

// Awaits reports whether traffic that an operator let go back at a time is still to
// come: to the place's server, or any if that is "", of its VIP, or of all without
// one.
func (in *Input) Awaits(place Place, at time.Time) bool {
	return slices.ContainsFunc(in.Cohorts.at(place), func(vip *Cohort) bool {
		if place.Server != "" {
			return in.awaits(place.Server, vip, at)
		}
		return slices.ContainsFunc(vip.Servers(), func(name topology.ServerName) bool { return in.awaits(name, vip, at) })
	})
}

// awaits reports whether the cohort would rather be at the server, and neither has
// been there since, nor is kept away from it by another word of people. While the server asks
// itself for no new traffic, it is not well enough yet.
func (in *Input) awaits(name topology.ServerName, vip *Cohort, at time.Time) bool {
	if !vip.has(name) || in.takenOff(name, vip) != "" || in.state(name, vip).Fell.After(at) {
		return false
	}
	have := in.Previous.For(vip).Servers
	if slices.Contains(have, name) {
		return !in.Eligible(name, vip)
	}
	tier := tierOf(vip, name)
	if vip.Mode == topology.ECMP {
		tier-- // it is to join the others of its tier, too
	}
	return len(have) == 0 || name == vip.home || slices.ContainsFunc(have, func(other topology.ServerName) bool { return tier < tierOf(vip, other) })
}

// awaited reports whether an operator's word brings the cohort's traffic to the server
// once it is well.
func (in *Input) awaited(name topology.ServerName, vip *Cohort) bool {
	at := later(in.recall(in.Recalled, name, vip), in.recall(in.Hurried, name, vip))
	return !at.IsZero() && in.awaits(name, vip, at)
}

// at are the cohorts of a place: the VIP's, all that the server may carry, or all.
func (c *Cohorts) at(place Place) []*Cohort {
	if place.VIP.IsValid() {
		if cohort := c.Of(place.VIP); cohort != nil {
			return []*Cohort{cohort}
		}
		return nil
	}
	if place.Server == "" {
		return c.all
	}
	if i := c.place(place.Server); i >= 0 {
		return c.by[i]
	}
	return nil
}
