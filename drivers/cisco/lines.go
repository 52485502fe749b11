package cisco

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// ownName begins the name, or description, of each of our lines where the
// dialect has such a thing.
const ownName = "routesteer"

// rungs bounds the lines of a floating VIP: a router's configuration is read by
// people too.
const rungs = 8

// An author knows how our lines look on a router. It holds no state.
type author struct {
	cfg     topology.Cisco
	dialect *dialect
	names   map[netip.Addr]topology.ServerName
	ladders map[netip.Prefix][]netip.Addr // servers of floating VIPs, in order of preference
	ours    map[netip.Prefix]bool         // the site's prefixes
}

func newAuthor(cfg topology.Cisco, site *topology.Site) *author {
	a := &author{
		cfg: cfg, dialect: dialectOf(cfg.Dialect), names: steer.Owners(site),
		ladders: map[netip.Prefix][]netip.Addr{}, ours: map[netip.Prefix]bool{},
	}
	for _, vip := range site.VIPs {
		a.ours[vip.Prefix] = true
		if cfg.Strategy == topology.StrategyFloating && vip.Mode == topology.Single {
			a.ladders[vip.Prefix] = ladder(site, vip)
		}
	}
	return a
}

// ladder is the first address of each of a VIP's servers, best first.
func ladder(site *topology.Site, vip topology.VIP) []netip.Addr {
	var all []netip.Addr
	for _, tier := range vip.Tiers {
		for _, name := range tier.Servers {
			server, _ := site.Server(name)
			if able := server.AddressesFor(vip.Prefix.Addr()); len(able) > 0 && len(all) < rungs {
				all = append(all, able[0])
			}
		}
	}
	return all
}

// owns reports whether a line is ours: it carries our mark, and nothing that
// somebody must have added to it.
func (a *author) owns(l line) bool {
	if !l.plain() || l.iface != "" {
		return false
	}
	if a.dialect.named == 0 {
		return l.tag == a.cfg.Tag
	}
	return l.name == ownName || strings.HasPrefix(l.name, ownName+"-")
}

// line is ours for a next hop.
func (a *author) line(prefix netip.Prefix, via netip.Addr, distance int) line {
	return line{
		vrf: a.cfg.VRF, prefix: prefix, via: via, distance: distance, tag: a.cfg.Tag, name: a.name(via),
		context: a.dialect.enter(a.cfg.VRF, prefix.Addr().Is6()),
	}
}

// name marks a line as ours, and says whose it is to people who read the
// configuration.
func (a *author) name(via netip.Addr) string {
	if a.dialect.named == 0 {
		return ""
	}
	name := ownName
	if server, known := a.names[via]; known {
		name += "-" + string(server)
	}
	return name[:min(len(name), a.dialect.named)]
}

// want is the lines that make a prefix go to these next hops, in order of
// distance.
func (a *author) want(prefix netip.Prefix, to []steer.NextHop) []line {
	ladder := a.ladders[prefix]
	if len(to) != 1 || len(ladder) == 0 {
		var lines []line
		for _, hop := range to {
			lines = append(lines, a.line(prefix, hop.Address, a.cfg.Distance))
		}
		return lines
	}
	rung := slices.Index(ladder, to[0].Address)
	if rung < 0 { // as when a server is reached by its second address
		return append([]line{a.line(prefix, to[0].Address, a.cfg.Distance)}, a.standbys(prefix, 1)...)
	}
	return a.standbys(prefix, rung)
}

// standbys is the lines of a floating VIP from a rung of its ladder on. Each
// rung has its distance, wherever the traffic is, so that a move to the next one
// writes nothing.
func (a *author) standbys(prefix netip.Prefix, from int) []line {
	var lines []line
	for i, via := range a.ladders[prefix] {
		if i >= from {
			lines = append(lines, a.line(prefix, via, a.cfg.Distance+i*topology.FloatingStep))
		}
	}
	return lines
}

// routes says what a router's lines for one prefix mean: where it is sent by
// lines of ours, and what foreign lines are in the way.
func (a *author) routes(prefix netip.Prefix, lines []line) []steer.Route {
	var ours, foreign []line
	for _, l := range lines {
		if a.owns(l) {
			ours = append(ours, l)
		} else {
			foreign = append(foreign, l)
		}
	}
	var routes []steer.Route
	if len(ours) > 0 {
		active := best(ours)
		route := steer.Route{Prefix: prefix, NextHops: hops(active), Detail: texts(ours)}
		route.Stray = !a.tidy(ours, a.want(prefix, route.NextHops))
		routes = append(routes, route)
	}
	if len(foreign) > 0 && a.competes(best(foreign)[0]) {
		active := best(foreign)
		routes = append(routes, steer.Route{Prefix: prefix, NextHops: hops(active), Foreign: true, Detail: texts(active)})
	}
	return routes
}

// competes reports whether a router could prefer a foreign line to one that we
// would write. One that is worse than all of ours waits in reserve, and is in
// nobody's way.
func (a *author) competes(l line) bool {
	worst := a.cfg.Distance
	if n := len(a.ladders[l.prefix]); n > 0 {
		worst += (n - 1) * topology.FloatingStep
	}
	return l.distance <= worst
}

// tidy reports whether our lines are as we would write them, whatever their
// order and names.
func (a *author) tidy(have, want []line) bool {
	if len(have) != len(want) {
		return false
	}
	for _, w := range want {
		if !slices.ContainsFunc(have, func(h line) bool { return h.same(w) && a.accepts(h, w) }) {
			return false
		}
	}
	return true
}

// accepts reports whether a line of ours that the router has will do for one
// that is wanted. Options that came from an operator's line stay where the file
// says nothing.
func (a *author) accepts(have, want line) bool {
	want.permanent = have.permanent
	if a.cfg.Tag == 0 {
		want.tag = have.tag
	}
	return have.alike(want)
}

// best is the lines of the least distance, which the router uses.
func best(lines []line) []line {
	least := lines[0].distance
	for _, l := range lines {
		least = min(least, l.distance)
	}
	var active []line
	for _, l := range lines {
		if l.distance == least {
			active = append(active, l)
		}
	}
	return active
}

func hops(lines []line) []steer.NextHop {
	var all []steer.NextHop
	for _, l := range lines {
		if l.via.IsValid() {
			all = append(all, steer.NextHop{Address: l.via, Weight: 1})
		}
	}
	steer.SortNextHops(all)
	return slices.Compact(all)
}

// texts is lines as the router has them.
func texts(lines []line) string {
	var all []string
	for _, l := range lines {
		all = append(all, l.text)
	}
	return strings.Join(all, "; ")
}
