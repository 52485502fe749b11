package iostest

import (
	"net/netip"
	"slices"
	"time"
)

// A State is how a prefix is forwarded from At on.
type State struct {
	At   time.Time
	Hops []netip.Addr // sorted; the zero address is an interface without next hop
}

// A Gap is a time without any next hop.
type Gap struct {
	From, To time.Time // To is zero if it lasts
}

// A History is how a prefix was forwarded.
type History struct {
	States []State
	Gaps   []Gap // since the first next hop; also those that lasted no time
}

// Guard returns the history of a prefix in the global table.
func (r *Router) Guard(p netip.Prefix) History { return r.GuardVRF("", p) }

// GuardVRF returns the history of a prefix in a VRF.
func (r *Router) GuardVRF(vrf string, p netip.Prefix) History {
	r.mu.Lock()
	defer r.mu.Unlock()
	states := slices.Clone(r.history[where{vrf, p}])
	return History{States: states, Gaps: gaps(states)}
}

// gaps finds the empty states, which come after others only.
func gaps(states []State) []Gap {
	var found []Gap
	for i, s := range states {
		if len(s.Hops) > 0 {
			continue
		}
		gap := Gap{From: s.At}
		if i+1 < len(states) {
			gap.To = states[i+1].At
		}
		found = append(found, gap)
	}
	return found
}

// Installed returns the next hops that forward a prefix of the global table,
// sorted.
func (r *Router) Installed(p netip.Prefix) []netip.Addr { return r.InstalledVRF("", p) }

// InstalledVRF returns the next hops that forward a prefix of a VRF, sorted.
func (r *Router) InstalledVRF(vrf string, p netip.Prefix) []netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return hops(r.active(where{vrf, p}))
}

// installLate settles when the delay of a route is over.
func (r *Router) installLate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.settle()
	}
}

// settle records what a change of the routes did to forwarding.
func (r *Router) settle() {
	places := map[where]bool{}
	for at := range r.history {
		places[at] = true
	}
	for _, one := range r.routes {
		places[one.where()] = true
	}
	for at := range places {
		r.record(at, hops(r.active(at)))
	}
}

// record notes a state if it is new.
func (r *Router) record(at where, now []netip.Addr) {
	states := r.history[at]
	var last []netip.Addr
	if len(states) > 0 {
		last = states[len(states)-1].Hops
	}
	if !slices.Equal(last, now) {
		r.history[at] = append(states, State{At: time.Now(), Hops: now})
	}
}

// active returns the routes that forward: of those that are usable, the ones
// of least distance.
func (r *Router) active(at where) []*route {
	var best []*route
	for _, one := range r.routes {
		if one.where() != at || !r.usable(one) {
			continue
		}
		if len(best) > 0 && one.dist() < best[0].dist() {
			best = nil
		}
		if len(best) == 0 || one.dist() == best[0].dist() {
			best = append(best, one)
		}
	}
	return best
}

// usable tells whether a route can be installed now. A distance of 255 never
// is.
func (r *Router) usable(one *route) bool {
	return one.dist() < 255 && !slices.Contains(r.faults.Unreachable, one.hop) &&
		!time.Now().Before(one.ready)
}

// hops returns the next hops of routes, sorted.
func hops(routes []*route) []netip.Addr {
	var all []netip.Addr
	for _, one := range routes {
		all = append(all, one.hop)
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}
