package simulation

import (
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

const (
	maxDoublings = 5                // of rise, for servers that flap
	adoptLimit   = 10 * time.Second // a start waits so long for routers that do not answer
	repairGap    = 100 * time.Millisecond
)

// bounds are how long a VIP may be without an eligible server though there is
// one. Each is counted from a moment of its own; all must be over.
type bounds struct {
	fall   time.Duration // since its server began to fail, or got the traffic: until that is known
	rise   time.Duration // since another one is well again: until that is known
	start  time.Duration // since the controller, or the site, is another one
	router time.Duration // since the router can be steered again
	act    time.Duration // for the router to do what it is told
}

// boundsOf derives the bounds from the file, and from how slow the router is.
func boundsOf(site *topology.Site, vip topology.VIP, r topology.Router, patience time.Duration) bounds {
	check := slowest(site, vip)
	passes, fails := time.Duration(check.Rise<<maxDoublings), time.Duration(check.Fall)
	pause := check.Interval + check.Interval/20 + grain // between checks of who is down, or carries traffic
	fast := check.FastInterval + grain
	slow := max(fast, check.Timeout+grain) // a check that times out may take longer than the interval
	b := bounds{act: patience + repairGap}
	if limit := r.ChangeLimit; limit.Changes > 0 { // all may have to wait for their turn, twice
		b.act += 2 * limit.Per * time.Duration(1+len(site.VIPs)/limit.Changes)
	}
	b.fall = pause + check.Timeout + fails*slow + b.act
	// Who had the traffic when all were down is checked once more before it is left.
	b.rise = pause + check.Timeout + passes*fast + pause + check.Timeout + b.act
	undecided := time.Duration(2*(check.Rise+check.Fall)+check.Rise) * slow
	b.start = adoptLimit + undecided + slow + b.act
	b.router = r.Poll() + b.act
	return b
}

// slowest is the check of a VIP, or what its members take at most.
func slowest(site *topology.Site, vip topology.VIP) topology.Check {
	check, _ := site.Check(vip.Check)
	if check.Group == nil {
		return check
	}
	all, _ := site.Check(check.Group.Of[0])
	for _, name := range check.Group.Of[1:] {
		member, _ := site.Check(name)
		all.Rise, all.Fall = max(all.Rise, member.Rise), max(all.Fall, member.Fall)
		all.Interval, all.FastInterval = max(all.Interval, member.Interval), max(all.FastInterval, member.FastInterval)
		all.Timeout, all.StandbyInterval = max(all.Timeout, member.Timeout), max(all.StandbyInterval, member.StandbyInterval)
	}
	return all
}

// watch holds that each VIP is where it should be. It is called before anything
// changes that bears on it, and so sees the end of every spell.
func (w *world) watch(now time.Time) {
	if w.control == nil || w.broken != nil {
		return
	}
	for _, r := range w.site.Routers {
		router := w.router(r.Name)
		for _, vip := range w.site.VIPs {
			b := boundsOf(w.site, vip, r, router.patience())
			calm := router.troubles == 0 && now.Sub(router.free) > b.router && !router.fought[vip.Prefix] &&
				now.Sub(w.started) > b.start && now.Sub(w.sited) > b.start
			pin := w.pin(vip)
			forced := !pin.sure(now) || pin.said.force || now.Sub(pin.since) <= b.act
			if has := router.table[vip.Prefix]; calm && !has.foreign && !forced {
				w.routed(r, vip, has, b, now)
			}
		}
	}
}

// routed holds that a VIP is not with a server that cannot carry it while
// another one can.
func (w *world) routed(r topology.Router, vip topology.VIP, has kept, b bounds, now time.Time) {
	if plight := w.plight(r, vip, has, b, now); plight != "" {
		if able := w.able(vip, b, now); len(able) > 0 && !w.mayBeFrozen(b, now) {
			w.breaks("a VIP with an eligible server is routed to one", "%s sends %s to %s, %s; eligible: %v", r.Name, vip.Prefix, w.via(has.hops), plight, able)
		}
	}
}

// plight is what is wrong with where a router sends a VIP, for too long already.
func (w *world) plight(r topology.Router, vip topology.VIP, has kept, b bounds, now time.Time) string {
	slack := b.act
	if has.strange && r.Cisco != nil {
		slack += r.Poll() // it does not tell what others do
	}
	if has.strange && now.Sub(has.since) <= slack {
		return ""
	}
	if len(has.hops) == 0 && now.Sub(has.since) > slack {
		return "which is nowhere"
	}
	for _, hop := range has.hops {
		name, known := w.owner[hop.Address]
		if !known || !slices.Contains(vip.Servers(), name) {
			if now.Sub(has.since) > slack {
				return "which is none of its servers"
			}
			continue
		}
		t := w.truths[health.Target{Server: name, VIP: vip.Judge}]
		switch {
		case w.outOfService(name, vip, now, slack+time.Nanosecond):
			return string(name) + " is drained"
		case w.asksSince(name, vip, now.Add(-slack-b.fall)) && now.Sub(has.since) > slack+b.fall:
			return string(name) + " asks for no new traffic"
		case t != nil && t.is == ill && w.isLost(name, vip, t, now.Add(-slack), has):
			return string(name) + " is lost, as was told"
		case t != nil && t.is == ill && now.Sub(latest(t.since, has.since)) > b.fall:
			return string(name) + " has failed since " + t.since.Sub(w.began).String()
		}
	}
	return ""
}

// asksSince reports whether the server is well, and asks for no new traffic of the VIP
// since before a moment.
func (w *world) asksSince(name topology.ServerName, vip topology.VIP, before time.Time) bool {
	check, _ := w.site.Check(vip.Check)
	t := w.truths[health.Target{Server: name, VIP: vip.Judge}]
	is, since := w.asks(name)
	return check.Agent != nil && is && t != nil && t.is == well && latest(since, t.since).Before(before)
}

// isLost reports whether a server that fails had the VIP's traffic, and was told
// lost since it fails, before a moment.
func (w *world) isLost(name topology.ServerName, vip topology.VIP, t *truth, before time.Time, has kept) bool {
	server, known := w.site.Server(name)
	if !known || w.prober == nil {
		return false
	}
	since := w.prober.lost(server, vip)
	return since.After(t.since) && latest(since, has.since).Before(before)
}

// able are the servers that have been fit for a VIP for long enough to be known
// as such.
func (w *world) able(vip topology.VIP, b bounds, now time.Time) []topology.ServerName {
	var able []topology.ServerName
	for _, name := range vip.Servers() {
		t := w.truths[health.Target{Server: name, VIP: vip.Judge}]
		if t != nil && t.is == well && now.Sub(t.since) > b.rise && w.inService(name, vip, now, b.act) {
			able = append(able, name)
		}
	}
	return able
}

// mayBeFrozen reports whether more servers than max_unavailable may be thought to
// be unavailable.
func (w *world) mayBeFrozen(b bounds, now time.Time) bool {
	// After a silence of the witnesses a loss counts once a check has failed.
	if len(w.site.Policy.Witness) > 0 && (w.deafened() || now.Sub(w.deaf) <= b.fall+b.act) {
		return true
	}
	limit := w.site.Policy.MaxUnavailable
	if limit == (topology.Share{}) {
		return w.mayHaveFallenTogether(b, now)
	}
	most := limit.Count
	if limit.Percent > 0 {
		most = len(w.site.Servers) * limit.Percent / 100
	}
	for _, server := range w.site.Servers {
		if w.maintained(server.Name, now, b.act) || !w.admin(server.Name).ready(now, b.act) || w.offSomewhere(server.Name, now, b.act) || w.mayAskSomewhere(server.Name, now, b.act) || !w.surelyUp(server.Name, now.Add(-b.act)) {
			most--
		}
	}
	return most < 0 || w.mayHaveFallenTogether(b, now)
}

// offSomewhere reports whether the server may be out of service for a VIP: it may have
// no other.
func (w *world) offSomewhere(name topology.ServerName, now time.Time, d time.Duration) bool {
	for place, a := range w.words {
		if place.Server == name && place.VIP.IsValid() && !a.ready(now, d) {
			return true
		}
	}
	return false
}

// mayAskSomewhere reports whether the server may ask for no new traffic of a VIP.
func (w *world) mayAskSomewhere(name topology.ServerName, now time.Time, d time.Duration) bool {
	return slices.ContainsFunc(w.site.VIPs, func(vip topology.VIP) bool {
		return slices.Contains(vip.Servers(), name) && w.mayAsk(name, vip, now, d)
	})
}

// mayHaveFallenTogether reports whether three servers may be thought to be down,
// which the file may call too many at a time.
func (w *world) mayHaveFallenTogether(b bounds, now time.Time) bool {
	if w.site.Policy.Correlated != topology.Freeze {
		return false
	}
	down := 0
	for _, server := range w.site.Servers {
		if !w.surelyUpForAll(server.Name, now.Add(-b.act)) {
			down++
		}
	}
	return down >= 3
}

// surelyUpForAll reports whether the server is known to be up for all its VIPs.
func (w *world) surelyUpForAll(name topology.ServerName, now time.Time) bool {
	for _, vip := range w.site.VIPs {
		t := w.truths[health.Target{Server: name, VIP: vip.Judge}]
		if t != nil && (t.is != well || now.Sub(t.since) <= boundsOf(w.site, vip, topology.Router{}, 0).rise) {
			return false
		}
	}
	return true
}

// surelyUp reports whether the server is known to be up for a VIP at least.
func (w *world) surelyUp(name topology.ServerName, now time.Time) bool {
	for _, vip := range w.site.VIPs {
		t := w.truths[health.Target{Server: name, VIP: vip.Judge}]
		if t != nil && t.is == well && now.Sub(t.since) > boundsOf(w.site, vip, topology.Router{}, 0).rise {
			return true
		}
	}
	return false
}

// gap holds that no driver leaves a prefix without a route that it had, unless
// the file says so and nobody can carry it.
func (w *world) gap(r *router, prefix netip.Prefix, change steer.Change) {
	vip, known := w.site.VIP(prefix)
	if !known || vip.OnAllDown != topology.Withdraw || change.Op != steer.Remove {
		w.breaks("no VIP loses a route that it had", "%s took away its route for %s: %s", r.name, prefix, change)
	}
}

func parsePrefix(text string) (netip.Prefix, bool) {
	prefix, err := netip.ParsePrefix(text)
	return prefix, err == nil
}
