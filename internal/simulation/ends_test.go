package simulation

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing/synctest"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// settling is how long all has to come to rest after the last that happened.
const settling = 3 * time.Minute

// conclude ends all faults, and holds that all ends well.
func (t *telling) conclude() {
	if !t.whole() {
		return
	}
	for len(t.ends) > 0 {
		first := -1
		for id := range t.ends {
			if first < 0 || id < first {
				first = id
			}
		}
		t.ends[first]()
	}
	if t.control == nil {
		t.start()
	}
	t.mu.Lock()
	t.say(time.Now(), "", "the last fault is over")
	t.mu.Unlock()
	for range 60 { // a fight may be over after an hour
		time.Sleep(settling)
		synctest.Wait()
		t.check()
		if t.peaceful() && !t.turns() {
			break
		}
	}
	if t.whole() {
		t.settled()
	}
}

// peaceful reports whether no router leaves prefixes alone.
func (t *telling) peaceful() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.routers {
		if len(r.fought) > 0 {
			return false
		}
	}
	return true
}

// turns reports whether the clock has just changed what is wanted, or is about to: by
// what was asked for until a time, maintenance, or hours in which traffic returns.
func (t *telling) turns() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	before, after := now.Add(10*time.Second-settling), now.Add(10*time.Second)
	for _, a := range t.words {
		if a.since.After(before) || !a.said.until.IsZero() && a.said.until.Before(after) {
			return true
		}
	}
	for moment := before; moment.Before(after); moment = moment.Add(5 * time.Second) {
		for _, m := range t.site.Maintenance {
			_, was := m.Until(moment)
			_, is := m.Until(moment.Add(5 * time.Second))
			if was != is {
				return true
			}
		}
	}
	return slices.ContainsFunc(t.site.VIPs, func(vip topology.VIP) bool {
		return inHours(vip, before) != inHours(vip, now) || inHours(vip, now) != inHours(vip, after)
	})
}

// settled holds that all is as steer wants it of servers that are as they are,
// and that status says so.
func (t *telling) settled() {
	const law = "after the last fault all is as it should be"
	status, err := t.control.Status(context.Background())
	plan, planErr := t.control.Plan(context.Background())
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil || planErr != nil {
		t.breaks(law, "status: %v; plan: %v", err, planErr)
		return
	}
	for _, r := range status.Routers {
		if !r.InSync {
			t.breaks(law, "router %s is out of sync: %+v", r.Name, r)
		}
	}
	claimed := map[string]bool{}
	for _, vip := range status.VIPs {
		known, _ := t.site.VIP(netip.MustParsePrefix(vip.Prefix))
		// What nobody can carry, and nobody had, is left as it is.
		claimed[vip.Prefix] = len(vip.Wanted)+len(vip.Eligible) > 0 || known.OnAllDown == topology.Withdraw
		if !vip.InSync && claimed[vip.Prefix] {
			t.breaks(law, "VIP %s is out of sync: %+v", vip.Prefix, vip)
		}
	}
	for _, server := range status.Servers {
		if name := topology.ServerName(server.Name); server.Admin.Reboot == "seen" && t.surelyUpForAll(name, time.Now().Add(-2*time.Minute)) {
			t.breaks(law, "%s has rebooted, is well for long, and still drained: %+v", name, server.Admin)
		}
	}
	for _, vip := range status.VIPs {
		known, _ := t.site.VIP(netip.MustParsePrefix(vip.Prefix))
		if text := t.misplaced(known, vip.Wanted); text != "" && status.Frozen == "" && vip.Pin == nil {
			t.breaks(law, "%s: %s", text, vip.Why)
		}
		if text := t.forgotten(known, vip.Wanted); text != "" && status.Frozen == "" && vip.Pin == nil {
			t.breaks("an undrain brings traffic back", "%s: %s", text, vip.Why)
		}
	}
	if len(plan.Changes)+len(plan.Foreign) > 0 {
		t.breaks(law, "a plan has changes: %+v", plan)
	}
	for _, change := range t.amiss() {
		if vip, _ := t.site.VIP(change.Prefixes[0]); claimed[vip.Entry.String()] {
			t.breaks(law, "steer would change: %s (%s)", change, change.Reason)
		}
	}
}

// misplaced holds, without steer's help, that a VIP has returned to its best
// tier if the policy says so by itself, and that all of a tier share it in mode
// ecmp.
func (t *telling) misplaced(vip topology.VIP, wanted []string) string {
	for _, tier := range vip.Tiers {
		fit := slices.DeleteFunc(slices.Clone(tier.Servers), func(name topology.ServerName) bool {
			truth := t.truths[health.Target{Server: name, VIP: vip.Judge}]
			return truth.is != well || !t.inService(name, vip, time.Now(), 0)
		})
		here := slices.ContainsFunc(fit, func(name topology.ServerName) bool { return slices.Contains(wanted, string(name)) })
		waits := vip.Failback.Mode == topology.FailbackManual || vip.Failback.Mode == topology.FailbackNever || vip.Failback.Between.Zone != nil
		switch {
		case len(fit) == 0, !here && waits:
			continue
		case !here:
			return fmt.Sprintf("%s is at %v, and %v are better", vip.Prefix, wanted, fit)
		case vip.Mode == topology.ECMP && !slices.Equal(names(fit), wanted):
			return fmt.Sprintf("%s is at %v, and %v should share it", vip.Prefix, wanted, fit)
		}
		return ""
	}
	return ""
}

// forgotten holds that a server which was ill when it was put back in service has got
// its traffic when it was well, though failback be by hand. Where somebody better, or
// a VIP's home, may wait for an operator, too, nothing is said of it.
func (t *telling) forgotten(vip topology.VIP, wanted []string) string {
	first := vip.Tiers[0].Servers
	if vip.Mode == topology.Single && len(first) > 1 || len(wanted) == 0 || slices.Contains(first, topology.ServerName(wanted[0])) {
		return ""
	}
	for _, name := range first {
		truth, said := t.truths[health.Target{Server: name, VIP: vip.Judge}], latest(t.admin(name).returned, t.word(steer.Place{Server: name, VIP: vip.Entry}).returned)
		rises := truth.since.Add(boundsOf(t.site, vip, topology.Router{}, 0).rise)
		later := truth.is == well && truth.good.Before(said) && said.Before(truth.since) && rises.Before(said.Add(steer.RecallLasts))
		if later && !t.fellSince(name, said) && t.sited.Before(said) && t.inService(name, vip, time.Now(), 0) {
			return fmt.Sprintf("%s was put back in service at %s, and was well at %s, and %s is at %v", name, t.since(said), t.since(truth.since), vip.Prefix, wanted)
		}
	}
	return ""
}

// fellSince reports whether any verdict on a server did.
func (t *telling) fellSince(name topology.ServerName, said time.Time) bool {
	for target, at := range t.fell {
		if target.Server == name && at.After(said) {
			return true
		}
	}
	return false
}

// will is what operators have said.
func (t *telling) will() steer.Will {
	will := steer.Will{Drained: map[topology.ServerName]string{}, Off: map[steer.Place]string{}, Pins: map[netip.Prefix]steer.Pin{}}
	for _, m := range t.site.Maintenance {
		if _, under := m.Until(time.Now()); under {
			for _, name := range m.Servers {
				will.Drained[name] = "in maintenance"
			}
		}
	}
	for place, a := range t.words {
		switch {
		case a.said.pinned != "":
			will.Pins[place.VIP] = steer.Pin{Server: a.said.pinned, Force: a.said.force}
		case a.said.drained && place.VIP == netip.Prefix{}:
			will.Drained[place.Server] = "drained"
		case a.said.drained:
			will.Off[place] = "drained of it"
		}
	}
	return will
}

// amiss is what steer would change now on the routers, if it began with their
// routes and knew the truth.
func (t *telling) amiss() []steer.Change {
	will := t.will()
	cohorts := steer.NewCohorts(t.site, will.Apart()...)
	tables := map[topology.RouterName]*steer.Table{}
	var found []*steer.Table
	for _, r := range t.site.Routers {
		routes := slices.DeleteFunc(t.router(r.Name).mem.Look(), func(route steer.Route) bool { return cohorts.Of(route.Prefix) == nil })
		tables[r.Name] = steer.NewTable(cohorts, routes)
		found = append(found, tables[r.Name])
	}
	want := steer.Desired(steer.Input{
		Site: t.site, Cohorts: cohorts, Health: beliefs{t.world}, Will: will, Previous: steer.Adopt(cohorts, found...), Now: time.Now(),
	})
	var amiss []steer.Change
	for _, r := range t.site.Routers {
		amiss = append(amiss, steer.Diff(want, tables[r.Name], steer.Terms{Adopt: r.Adopt(), Even: !r.Weighs()}).Changes...)
	}
	return amiss
}
