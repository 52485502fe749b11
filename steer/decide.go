package steer

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// A decision is one run of Desired.
type decision struct {
	Input
	previous []*Want // of each cohort
	want     Assignment
	load     *load

	many, together string // why failure-driven moves are withheld, or ""
}

func newDecision(in Input) *decision {
	if in.Previous.cohorts != in.Cohorts {
		in.Previous = Assign(in.Cohorts, in.Previous.For)
	}
	in.sheet = newSheet(in)
	d := &decision{Input: in, previous: in.Previous.wants, load: newLoad(in)}
	d.want = Assignment{cohorts: in.Cohorts, wants: slices.Clone(d.previous), load: d.load.count, gone: in.sheet.gone}
	d.many, d.together = in.frozen()
	d.want.frozen = frozenText(d.many, "") // servers lost together are told of where that holds something back
	return d
}

// set records what is wanted for the cohort.
func (d *decision) set(vip *Cohort, want Want) {
	previous := d.previous[vip.index]
	slices.Sort(want.Servers)
	reach := d.reach(want.Servers, vip, previous.NextHops)
	want.NextHops, want.Path, want.Next = reach.hops, reach.why(), earlier(want.Next, reach.due)
	want.had = d.had(vip, previous, want.Servers)
	want.Keep = d.keep(vip, want.had, previous.Keep)
	want.Since = d.Now
	if slices.Equal(want.Servers, previous.Servers) && want.Withdraw == previous.Withdraw {
		want.Since = previous.Since
		// What moved it away stays the reason while all else is well.
		if want.Cause == Settled && previous.Cause.moved() && !slices.Equal(want.Servers, vip.homes) {
			want.Cause, want.Why = previous.Cause, previous.Why
		}
		// Unknown moves nothing, not even to a new address of the same server.
		if d.anyUnknown(vip, want.Servers) && len(previous.NextHops) > 0 {
			want.Path = d.pathWhileUnknown(want, previous)
			want.NextHops = previous.NextHops
		}
	}
	if want.Failure = d.byFailure(want, previous); want.Failure {
		want.taken = d.taken(vip, want.had)
	}
	if !want.equal(previous) {
		changed := want // a copy, so that want itself, which mostly changes nothing, needs no memory
		d.want.wants[vip.index] = &changed
	}
	d.load.move(vip, nil, want.Servers)
}

// pathWhileUnknown is why the servers are reached as they were before, while nothing is known:
// never "" where they would be reached otherwise, so that this is decided anew when it is.
func (d *decision) pathWhileUnknown(want Want, previous *Want) string {
	switch {
	case previous.Path != "":
		return previous.Path
	case slices.Equal(want.NextHops, previous.NextHops):
		return want.Path
	default:
		return "its next hop stays as it is until checks have decided"
	}
}

// byFailure reports whether a failure is why the traffic is wanted there, however long
// ago: a router that has not done it yet still does it for that.
func (d *decision) byFailure(want Want, previous *Want) bool {
	sameHop := func(a, b NextHop) bool { return a.Address == b.Address }
	switch {
	case want.Cause == Pinned || len(previous.Servers) == 0 && !previous.Withdraw:
		return false
	case !slices.Equal(want.Servers, previous.Servers):
		return want.Cause == Failover || want.Cause == Withdrawn || want.Cause == KeptDown
	case !slices.EqualFunc(want.NextHops, previous.NextHops, sameHop):
		return slices.ContainsFunc(previous.NextHops, func(h NextHop) bool { return d.lost(h.Address) })
	default:
		return previous.Failure
	}
}

// taken are the addresses of those of the servers that people have taken out of service.
func (d *decision) taken(vip *Cohort, servers []topology.ServerName) []netip.Addr {
	var taken []netip.Addr
	for _, name := range servers {
		if d.takenOff(name, vip) != "" {
			taken = append(taken, d.Site.Servers[d.Cohorts.server(name, vip)].Addresses...)
		}
	}
	return taken
}

func (c Cause) moved() bool { return c == Failover || c == Drained || c == Returned }

func (d *decision) anyUnknown(vip *Cohort, servers []topology.ServerName) bool {
	return slices.ContainsFunc(servers, func(name topology.ServerName) bool { return d.verdict(name, vip) == health.Unknown })
}

func (d *decision) anyUp(vip *Cohort, servers []topology.ServerName) bool {
	return slices.ContainsFunc(servers, func(name topology.ServerName) bool { return vip.has(name) && d.verdict(name, vip) == health.Up })
}

// stay decides for a VIP whose traffic need not be spread anew, and reports
// whether that is so.
func (d *decision) stay(vip *Cohort) (Want, bool) {
	if want, holds := d.pinned(vip); holds {
		return want, true
	}
	current := d.previous[vip.index].Servers
	holding := d.holding(current, vip)
	if len(holding) > 0 {
		return d.keepHolding(vip, current, holding)
	}
	tier, eligible := d.bestTier(vip)
	if want, withheld := d.withheld(current, vip); withheld {
		return want, true
	}
	coming := d.comingBack(vip, current, eligible)
	switch {
	case tier < 0:
		return d.nobody(vip, current), true
	case d.Now.Before(coming):
		why := fmt.Sprintf("%s answers again; %s, which has the traffic, is about to be judged", names(eligible), names(current))
		return Want{Servers: current, Cause: KeptDown, Why: why, Next: coming}, true
	case len(current) == 0 && d.undecided(vip, tier):
		return d.unclaimed(vip, nil, "no route yet, and checks of better servers are still under way"), true
	case vip.Mode == topology.ECMP:
		return d.moved(vip, current, eligible, tier), true
	default:
		return Want{}, false
	}
}

// comingBack is until when traffic should stay where it was left when nobody was
// eligible; zero for no longer. The outage was common to all, and the first to be
// seen well again is not better for that: it stays until a check of the servers that
// have it, later than the first recovery, has failed. That lasts a fall period at most,
// or else who flaps, and is trusted late, would hold traffic that others could carry.
func (d *decision) comingBack(vip *Cohort, current, eligible []topology.ServerName) time.Time {
	if d.previous[vip.index].Cause != KeptDown || len(current) == 0 || len(eligible) == 0 {
		return time.Time{}
	}
	first := d.state(eligible[0], vip).Since
	for _, name := range eligible[1:] {
		if since := d.state(name, vip).Since; since.Before(first) {
			first = since
		}
	}
	coming := slices.ContainsFunc(current, func(name topology.ServerName) bool {
		state := d.state(name, vip)
		passing := state.Verdict == health.Down && state.Streak > 0
		return d.Off(name, vip) == "" && vip.has(name) && (passing || state.LastCheck.Before(first))
	})
	if !coming {
		return time.Time{}
	}
	return first.Add(d.Site.FallPeriod())
}

// holding returns those of the servers that traffic may stay with. More than
// one of different tiers, or in single mode, is left over from something else
// than us: the best of them count.
func (d *decision) holding(servers []topology.ServerName, vip *Cohort) []topology.ServerName {
	if len(servers) == 1 && d.holds(servers[0], vip) { // as most are
		return servers
	}
	best := len(vip.Tiers)
	for _, name := range servers {
		if d.holds(name, vip) {
			best = min(best, tierOf(vip, name))
		}
	}
	var holding []topology.ServerName
	for _, name := range servers {
		if d.holds(name, vip) && tierOf(vip, name) == best {
			holding = append(holding, name)
		}
	}
	if vip.Mode == topology.Single && len(holding) > 1 {
		if home := vip.home; slices.Contains(holding, home) {
			return []topology.ServerName{home}
		}
		return holding[:1]
	}
	return holding
}

// keepHolding decides for a VIP with servers that traffic may stay with: it
// stays, but for what the failback policy and lost companions change.
func (d *decision) keepHolding(vip *Cohort, current, holding []topology.ServerName) (Want, bool) {
	back, later := d.failback(vip, holding)
	if len(back) > 0 {
		want := Want{Servers: back, Cause: Returned, Why: d.returned(vip, back, holding), Next: later.due}
		return d.alongside(vip, current, want), true
	}
	if want, withheld := d.withheld(current, vip); withheld {
		want.Next = earlier(want.Next, later.due)
		return want, true
	}
	switch {
	case len(d.leaving(current, vip)) > 0 && vip.Mode == topology.ECMP:
		return Want{Servers: holding, Cause: d.causeOf(current, vip), Why: d.lossOf(current, vip), Next: later.due}, true
	case later.why != "":
		return Want{Servers: holding, Cause: Waiting, Why: later.why, Next: later.due}, true
	default:
		return Want{Servers: holding, Cause: Settled, Why: d.settledWhy(vip, holding)}, true
	}
}

// alongside is a Want by which servers join others, with those of the same tier beside whose loss
// is not believed: that somebody else joins is no proof of it.
func (d *decision) alongside(vip *Cohort, current []topology.ServerName, want Want) Want {
	lost := d.leaving(current, vip)
	joins := vip.Mode == topology.ECMP && slices.ContainsFunc(current, func(name topology.ServerName) bool { return slices.Contains(want.Servers, name) })
	if !joins || len(lost) == 0 {
		return want
	}
	held, withheld := d.withheld(current, vip)
	if !withheld {
		return want
	}
	want.Servers = append(slices.Clone(want.Servers), lost...)
	want.Cause, want.Why = held.Cause, want.Why+"; "+held.Why
	want.Next, want.Frozen = earlier(want.Next, held.Next), held.Frozen
	return want
}

// leaving are those of the servers that traffic may not stay with.
func (d *decision) leaving(servers []topology.ServerName, vip *Cohort) []topology.ServerName {
	var leaving []topology.ServerName
	for _, name := range servers {
		if !d.holds(name, vip) {
			leaving = append(leaving, name)
		}
	}
	return leaving
}

// undecided reports whether checks that would name a better or equal server
// have not been decided yet. A VIP that has no route can wait for them;
// otherwise it would go to whoever answers first, and move again.
func (d *decision) undecided(vip *Cohort, tier int) bool {
	for _, better := range vip.Tiers[:tier+1] {
		for _, name := range better.Servers {
			if d.Off(name, vip) == "" && d.verdict(name, vip) == health.Unknown {
				return true
			}
		}
	}
	return false
}

// nobody decides for a VIP without any eligible server.
func (d *decision) nobody(vip *Cohort, current []topology.ServerName) Want {
	for _, name := range vip.Servers() {
		if d.verdict(name, vip) == health.Unknown && d.Off(name, vip) == "" {
			return d.unclaimed(vip, d.known(current, vip), "no server is known to be up yet")
		}
	}
	why := "no server is eligible (" + d.allDown(vip) + "): "
	switch {
	case vip.OnAllDown == topology.Withdraw:
		return Want{Withdraw: true, Cause: Withdrawn, Why: why + "withdrawn"}
	case vip.OnAllDown == topology.FirstTier && !d.anyUp(vip, current): // who is up, and only taken out of service, is better than who is down
		return Want{Servers: d.firstTier(vip, current), Cause: KeptDown, Why: why + "sent to the first tier"}
	default:
		return Want{Servers: d.known(current, vip), Cause: KeptDown, Why: why + "left as it is"}
	}
}

// unclaimed decides for a VIP of which not enough is known: it is left where it is, and
// without a route if that was withdrawn.
func (d *decision) unclaimed(vip *Cohort, current []topology.ServerName, why string) Want {
	if len(current) == 0 && d.previous[vip.index].Withdraw {
		return Want{Withdraw: true, Cause: Withdrawn, Why: why + ": withdrawn, as before"}
	}
	return Want{Servers: current, Cause: Unclaimed, Why: why}
}

// firstTier is where a VIP goes that no server is eligible for: the servers of its
// first tier that nobody took out of service, or all of them; in single mode its home, or
// else where it is, if that is one of these.
func (d *decision) firstTier(vip *Cohort, current []topology.ServerName) []topology.ServerName {
	first := vip.Tiers[0].Servers
	wanted := slices.DeleteFunc(slices.Clone(first), func(name topology.ServerName) bool { return d.Off(name, vip) != "" })
	if len(wanted) == 0 {
		wanted = slices.Clone(first)
	}
	if vip.Mode == topology.ECMP {
		return wanted
	}
	if slices.Contains(wanted, vip.home) {
		return []topology.ServerName{vip.home}
	}
	for _, name := range current { // what others carry is no reason to leave it
		if slices.Contains(wanted, name) {
			return []topology.ServerName{name}
		}
	}
	return []topology.ServerName{d.load.peek(vip, wanted)}
}

// known returns those of the servers that the VIP still has.
func (d *decision) known(servers []topology.ServerName, vip *Cohort) []topology.ServerName {
	return slices.DeleteFunc(slices.Clone(servers), func(name topology.ServerName) bool { return !vip.has(name) })
}

// move decides for a VIP in single mode that has to go somewhere else.
func (d *decision) move(vip *Cohort) Want {
	tier, eligible := d.bestTier(vip)
	to := d.load.peek(vip, eligible)
	if home := vip.home; slices.Contains(eligible, home) {
		to = home
	}
	return d.moved(vip, d.previous[vip.index].Servers, []topology.ServerName{to}, tier)
}

func (d *decision) moved(vip *Cohort, from, to []topology.ServerName, tier int) Want {
	if len(from) == 0 {
		return Want{Servers: to, Cause: Settled, Why: d.settledWhy(vip, to)}
	}
	return Want{
		Servers: to,
		Cause:   d.causeOf(from, vip),
		Why:     d.lossOf(from, vip) + ": moved to " + names(to) + " (" + vip.Tiers[tier].Name + ")",
	}
}
