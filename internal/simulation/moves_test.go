package simulation

import (
	"slices"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// A move is one VIP's from servers to others.
type move struct {
	world    *world
	vip      topology.VIP
	from, to []topology.ServerName
	at       time.Time
	why      string
}

func (m move) judge() {
	if m.why == "" {
		m.breaks("nobody says why")
	}
	if pin := m.world.pin(m.vip); !pin.ready(m.at, 5*time.Second) {
		return // where it goes is an operator's business, and what is under way is not known
	}
	left, joined := without(m.from, m.to), without(m.to, m.from)
	switch {
	case len(m.to) == 0:
		m.withdrawn()
		return
	case len(m.from) == 0:
		m.begins()
	}
	back := m.failsBack(joined)
	// A return, with all of the traffic or by an operator's word, is no failure's doing.
	if returns := back && (len(left) == len(m.from) || slices.ContainsFunc(joined, m.isRecalled)); !returns {
		m.witnessed(left)
	}
	for _, name := range left {
		if !back && !m.mayLeave(name) {
			m.breaks("it left %s, which is well and in service", name)
		}
	}
	for _, name := range joined {
		m.mayJoin(name)
	}
	if len(left) == len(m.from) && !back {
		m.best()
	}
}

// witnessed holds that a failure moves traffic only when a witness was heard after it,
// if there are any.
func (m move) witnessed(left []topology.ServerName) {
	if len(m.world.site.Policy.Witness) == 0 || slices.ContainsFunc(left, func(name topology.ServerName) bool { return !m.serves(name) || !m.in(name) }) {
		return
	}
	for _, name := range left {
		if v := m.verdict(name); v.is == "down" && !v.soft && !m.world.heard.After(v.since) {
			m.breaks("%s is down since %s, and no witness was heard since %s", name, m.world.since(v.since), m.world.since(m.world.heard))
		}
	}
}

func (m move) breaks(format string, args ...any) {
	args = append(append([]any{m.vip.Prefix, m.from, m.to}, args...), m.why)
	m.world.breaks("nothing moves without a reason", "%s went from %v to %v: "+format+" (%s)", args...)
}

func without(a, b []topology.ServerName) []topology.ServerName {
	return slices.DeleteFunc(slices.Clone(a), func(name topology.ServerName) bool { return slices.Contains(b, name) })
}

func (m move) verdict(name topology.ServerName) *verdict {
	return m.world.belief.verdict(health.Target{Server: name, VIP: m.vip.Judge})
}

// withdrawn holds that nobody is eligible.
func (m move) withdrawn() {
	if m.vip.OnAllDown != topology.Withdraw && slices.ContainsFunc(m.from, m.serves) {
		m.breaks("it is to be kept where it is when nobody is eligible")
	}
	for _, name := range m.vip.Servers() {
		v := m.verdict(name)
		if slices.ContainsFunc(m.from, m.serves) && v.is != "down" && !v.soft && m.in(name) {
			m.breaks("%s is not down", name)
		}
	}
}

// in reports whether nothing was said, or may have been, against a server.
func (m move) in(name topology.ServerName) bool { return m.world.inService(name, m.vip, m.at, blink) }

func (m move) serves(name topology.ServerName) bool { return slices.Contains(m.vip.Servers(), name) }

// begins holds that a VIP which a router routed already, and told so at the
// start, does not start anew.
func (m move) begins() {
	if len(m.world.belief.wants[m.vip.Prefix]) > 0 {
		return // withdrawn before
	}
	for _, r := range m.world.site.Routers {
		router := m.world.router(r.Name)
		has := router.table[m.vip.Prefix]
		servers, all := m.world.servers(has.hops)
		began := latest(m.world.started, m.world.sited)
		settled := router.troubles == 0 && router.free.Add(router.patience()).Before(began) && has.since.Before(began)
		if settled && all && len(servers) > 0 && !slices.ContainsFunc(servers, func(name topology.ServerName) bool { return !m.serves(name) }) {
			m.breaks("%s had it at %v, and that was not taken over", r.Name, servers)
		}
	}
}

// mayLeave reports whether there is something against a server.
func (m move) mayLeave(name topology.ServerName) bool {
	v := m.verdict(name)
	several := m.vip.Mode == topology.Single && len(m.from) > 1 || m.isWorse(name) // as found, or as a former file had it
	return !m.serves(name) || v.is == "down" || !m.in(name) || several || v.soft && m.wasBadOf(name)
}

// isWorse reports whether somebody of a better tier had the traffic too, and keeps it.
func (m move) isWorse(name topology.ServerName) bool {
	return slices.ContainsFunc(m.from, func(other topology.ServerName) bool {
		return slices.Contains(m.to, other) && m.serves(other) && m.tier(other) < m.tier(name)
	})
}

// wasBadOf reports whether a verdict that nobody was told of can have been down.
func (m move) wasBadOf(name topology.ServerName) bool {
	t := m.world.truths[health.Target{Server: name, VIP: m.vip.Judge}]
	return t == nil || m.at.Sub(t.wasBad(m.at)) < 5*time.Minute
}

// mayJoin holds that a server is eligible.
func (m move) mayJoin(name topology.ServerName) {
	v := m.verdict(name)
	if m.lastResort() && m.tier(name) == 0 {
		return
	}
	switch {
	case !m.serves(name):
		m.breaks("%s is not one of its servers", name)
	case v.is != "up" && !v.soft:
		m.breaks("%s is not known to be up", name)
	case m.world.outOfService(name, m.vip, m.at, blink):
		m.breaks("%s is drained", name)
	}
}

// lastResort reports whether nobody is eligible, and the file has the first tier
// take the traffic then.
func (m move) lastResort() bool {
	return m.vip.OnAllDown == topology.FirstTier && !slices.ContainsFunc(m.vip.Servers(), func(name topology.ServerName) bool {
		v := m.verdict(name)
		return v.is == "up" && !v.soft && m.in(name)
	})
}

// tier is a server's rank for the VIP.
func (m move) tier(name topology.ServerName) int {
	return slices.IndexFunc(m.vip.Tiers, func(t topology.Tier) bool { return slices.Contains(t.Servers, name) })
}

// best holds that no server of a better tier was passed over.
func (m move) best() {
	for _, tier := range m.vip.Tiers[:max(m.tier(m.to[0]), 0)] {
		for _, name := range tier.Servers {
			v := m.verdict(name)
			if v.is == "up" && !v.soft && m.world.inService(name, m.vip, m.at, blink) && !slices.Contains(m.from, name) {
				m.breaks("%s is better, and eligible", name)
			}
		}
	}
}

// failsBack reports whether the move is a return to somebody better that the
// policy allows. Within a tier, that is always the same server.
func (m move) failsBack(joined []topology.ServerName) bool {
	held := slices.DeleteFunc(slices.Clone(m.from), m.mayLeave)
	if len(joined) == 0 || len(held) == 0 {
		return false
	}
	to, now := m.tier(joined[0]), m.tier(held[0])
	switch {
	case to > now:
		return false
	case to == now && m.vip.Mode == topology.Single:
		if !m.isHome(joined[0]) {
			return false
		}
	}
	brought := slices.ContainsFunc(joined, m.isRecalled) // along with one that an operator put back
	for _, name := range joined {
		m.due(name, brought || to == now && m.vip.Mode == topology.ECMP)
	}
	return true
}

// isHome notes where a VIP returns to within its tier, and holds it to that.
func (m move) isHome(name topology.ServerName) bool {
	home, known := m.world.belief.homes[m.vip.Prefix]
	if known {
		return home == name
	}
	m.world.belief.homes[m.vip.Prefix] = name
	return true
}

// isRecalled reports whether an operator has put a server back in service, and that
// still counts.
func (m move) isRecalled(name topology.ServerName) bool {
	for _, a := range []*word{m.world.admin(name), m.world.word(steer.Place{Server: name, VIP: m.vip.Entry}), m.world.pin(m.vip), m.world.word(hurry)} {
		ended := a.said.reboot || !a.said.until.IsZero() && !m.at.Before(a.said.until) // by itself
		if a.asking > 0 || ended || m.counts(name, a.recalled) {
			return true
		}
	}
	return m.maintenanceEnded(name)
}

// isHurried reports whether an operator has called traffic back, and that still counts.
func (m move) isHurried(name topology.ServerName) bool {
	a := m.world.word(hurry)
	return a.asking > 0 || m.counts(name, a.recalled)
}

// counts reports whether a word that traffic returns to a server still counts: an hour
// at most, and until it falls the next time.
func (m move) counts(name topology.ServerName, said time.Time) bool {
	fell := m.world.fell[health.Target{Server: name, VIP: m.vip.Judge}]
	return !said.IsZero() && m.at.Sub(said) < steer.RecallLasts+5*time.Second && !fell.After(said.Add(5*time.Second))
}

// maintenanceEnded reports whether the file has put a server back in service, and that
// still counts.
func (m move) maintenanceEnded(name topology.ServerName) bool {
	if m.counts(name, m.world.released[name]) {
		return true
	}
	return slices.ContainsFunc(m.world.site.Maintenance, func(w topology.Maintenance) bool {
		return slices.Contains(w.Servers, name) && m.counts(name, lastEnd(w, m.at))
	})
}

// lastEnd is when a maintenance has ended within the last hour; zero if it has not.
func lastEnd(w topology.Maintenance, now time.Time) time.Time {
	for back := time.Duration(0); back < steer.RecallLasts; back += 30 * time.Second { // none is shorter than a minute
		if until, under := w.Until(now.Add(-back)); under && !until.After(now) {
			return until
		}
	}
	return time.Time{}
}

// inHours reports whether it is the time of day at which the policy gives a VIP's traffic back.
func inHours(vip topology.VIP, moment time.Time) bool {
	between := vip.Failback.Between
	at := moment.UTC().Hour()*60 + moment.UTC().Minute()
	return between.Zone == nil || at >= between.From && at < between.To
}

// due holds that the failback policy gives a server its traffic. With free, no
// operator is needed for that.
func (m move) due(name topology.ServerName, free bool) {
	v := m.verdict(name)
	switch m.vip.Failback.Mode {
	case topology.FailbackAfter:
		if m.at.Sub(v.since) < m.vip.Failback.After && !v.soft && !m.isHurried(name) {
			m.breaks("%s is back for %s only", name, m.at.Sub(v.since))
		}
		if !free && !v.soft && !m.isHurried(name) && !inHours(m.vip, m.at) {
			m.breaks("it is not the time of day for that")
		}
	case topology.FailbackManual, topology.FailbackNever:
		if !free && !v.soft {
			m.breaks("failback is %s", m.vip.Failback.Mode)
		}
	}
}
