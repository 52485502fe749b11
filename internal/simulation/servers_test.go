package simulation

import (
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// A malady is what is wrong with a server.
type malady string

const (
	crashed   malady = "crashed"    // its process is gone: connections are refused
	frozen    malady = "frozen"     // nothing answers but the kernel, to echo
	dead      malady = "dead"       // nothing answers at all
	cardLost  malady = "card lost"  // one of its addresses does not answer
	aliasGone malady = "alias gone" // it does not carry one of its VIPs; checks of its own address pass
	flaky     malady = "flaky"      // its checks pass or fail by chance
	silent    malady = "silent"     // echo is lost, and all else is well
	leaving   malady = "leaving"    // its agent asks for no new traffic, and all else is well
	deaf      malady = "deaf"       // no server's: witnesses are not heard
)

// An ailment is one malady of one server, until it is over.
type ailment struct {
	malady  malady
	server  topology.ServerName
	address netip.Addr   // with cardLost
	vip     netip.Prefix // with aliasGone: its judge
	over    bool
}

// A condition is what checks of a target find.
type condition uint8

const (
	well condition = iota
	ill
	mixed // now this, now that
)

// A truth is what is so of a target, whatever the controller believes.
type truth struct {
	is    condition
	since time.Time
	bad   time.Time // when it was last not well; zero for never
	good  time.Time // when it was last not ill; zero for never
}

// wasBad is when a check could last fail.
func (t *truth) wasBad(now time.Time) time.Time {
	if t.is != well {
		return now
	}
	return t.bad
}

// wasGood is when a check could last pass.
func (t *truth) wasGood(now time.Time) time.Time {
	if t.is != ill {
		return now
	}
	return t.good
}

// A streak is the latest results of a target that are alike.
type streak struct {
	ok bool
	n  int
}

// add counts one more result.
func (s *streak) add(ok bool) {
	if ok != s.ok {
		*s = streak{ok: ok}
	}
	s.n++
}

// An outcome is what a check finds.
type outcome struct {
	failure string
	took    time.Duration
	mixed   bool // another check may find otherwise
}

const (
	passTook   = 2 * time.Millisecond
	refuseTook = time.Millisecond
)

// outcome is what a check of the target by an address finds now.
func (w *world) outcome(target health.Target, check topology.Check, address netip.Addr) outcome {
	found := outcome{took: passTook}
	for _, a := range w.ailments {
		if a.over || a.server != target.Server {
			continue
		}
		switch {
		case a.malady == frozen, a.malady == dead, a.malady == cardLost && a.address == address:
			return outcome{failure: "timeout after " + check.Timeout.String(), took: check.Timeout}
		case a.malady == crashed, a.malady == aliasGone && a.vip == target.VIP && check.Through == topology.ThroughVIP:
			found = outcome{failure: "connection refused", took: refuseTook}
		case a.malady == flaky && found.failure == "":
			found.mixed = true
		}
	}
	return found
}

// answers reports whether an address answers echo.
func (w *world) answers(server topology.ServerName, address netip.Addr) bool {
	return !slices.ContainsFunc(w.ailments, func(a *ailment) bool {
		return !a.over && a.server == server && (a.malady == dead || a.malady == silent || a.malady == cardLost && a.address == address)
	})
}

// asks reports whether the server asks for no new traffic, and since when it does or
// does not.
func (w *world) asks(server topology.ServerName) (is bool, since time.Time) {
	is = slices.ContainsFunc(w.ailments, func(a *ailment) bool { return !a.over && a.server == server && a.malady == leaving })
	return is, w.asked[server]
}

// deafened reports whether witnesses are not heard.
func (w *world) deafened() bool {
	return slices.ContainsFunc(w.ailments, func(a *ailment) bool { return !a.over && a.malady == deaf })
}

// isCut reports whether packets to an address are lost.
func (w *world) isCut(server topology.ServerName, address netip.Addr) bool {
	return slices.ContainsFunc(w.ailments, func(a *ailment) bool {
		return !a.over && a.server == server && (a.malady == dead || a.malady == cardLost && a.address == address)
	})
}

// retruth finds out what is so of every target of the site, after a change of
// anything that bears on it.
func (w *world) retruth(now time.Time) {
	former := w.truths
	w.truths = make(map[health.Target]*truth, len(former))
	for _, judge := range w.site.Judges() {
		check, _ := w.site.Check(judge.VIP.Check)
		for _, name := range judge.Servers {
			target := health.Target{Server: name, VIP: judge.VIP.Prefix}
			is := w.condition(target, check)
			t := former[target]
			switch {
			case t == nil:
				t = &truth{is: is, since: now}
			case t.is != is:
				t.bad, t.good = t.wasBad(now), t.wasGood(now)
				t.is, t.since = is, now
			}
			w.truths[target] = t
		}
	}
	if w.prober != nil {
		w.prober.poke(now)
	}
}

func (w *world) condition(target health.Target, check topology.Check) condition {
	if check.Group != nil {
		return w.whole(target, check)
	}
	switch found := w.outcome(target, check, w.path(target)); {
	case found.failure != "":
		return ill
	case found.mixed:
		return mixed
	default:
		return well
	}
}

// whole is what checks of several find of a target: well if so many members are as it
// needs, ill if fewer can be, and mixed where that is up to those that are.
func (w *world) whole(target health.Target, check topology.Check) condition {
	count := map[condition]int{}
	_, parts := w.site.Probes()
	for _, part := range parts[target.VIP] {
		member := health.Target{Server: target.Server, VIP: part.VIP, Member: part.Member}
		count[w.condition(member, checkOf(w.site, member))]++
	}
	switch {
	case count[well] >= check.Group.Needs:
		return well
	case count[well]+count[mixed] < check.Group.Needs:
		return ill
	default:
		return mixed
	}
}

// path is the address by which a target is checked now.
func (w *world) path(target health.Target) netip.Addr {
	site := w.site
	if w.prober != nil && w.prober.site != nil {
		if address := w.prober.inUse[target]; address.IsValid() {
			return address
		}
		site = w.prober.site // it has a new one first
	}
	server, _ := site.Server(target.Server)
	if addresses := server.AddressesFor(target.VIP.Addr()); len(addresses) > 0 {
		return addresses[0]
	}
	return netip.Addr{}
}

// fallIll begins an ailment, and returns what ends it.
func (w *world) fallIll(a *ailment) (heal func()) {
	w.turn(func() { w.ailments = append(w.ailments, a); w.noteAilment(a) })
	return func() {
		w.turn(func() { a.over = true; w.noteAilment(a) })
		w.ailments = slices.DeleteFunc(w.ailments, func(a *ailment) bool { return a.over })
	}
}

// noteAilment notes when one began or ended that no truth tells of.
func (w *world) noteAilment(a *ailment) {
	switch a.malady {
	case leaving:
		w.asked[a.server] = time.Now()
	case deaf:
		w.deaf = time.Now()
	}
}

// turn changes what is so of servers.
func (w *world) turn(change func()) {
	now := time.Now()
	w.watch(now)
	change()
	w.retruth(now)
}
