package cisco

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

var (
	somePrefix = netip.MustParsePrefix("203.0.113.32/27")
	someHops   = []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3"), netip.MustParseAddr("10.0.0.4")}
)

// someSite has one VIP and four servers, web1 to web4 at someHops.
func someSite(mode topology.Mode) *topology.Site {
	site := &topology.Site{}
	tier := topology.Tier{Name: "primary"}
	for i, hop := range someHops {
		name := topology.ServerName(fmt.Sprintf("web%d", i+1))
		site.Servers = append(site.Servers, topology.Server{Name: name, Addresses: []netip.Addr{hop}, Weight: 1})
		tier.Servers = append(tier.Servers, name)
	}
	site.VIPs = []topology.VIP{{Prefix: somePrefix, Mode: mode, Tiers: []topology.Tier{tier}}}
	return site
}

// A table is the lines that a router has for one prefix, as it understands them.
type table []line

// typeIn does what a router does with a command: a line for a next hop that it
// has replaces the options, and "no" needs the very line.
func (t table) typeIn(tt *rapid.T, l line, text string) table {
	if no := "no " + l.text; text == no {
		i := slices.IndexFunc(t, func(h line) bool { return h.text == l.text })
		if i < 0 {
			tt.Fatalf("%q is typed, which the router does not have", text)
		}
		return slices.Delete(slices.Clone(t), i, i+1)
	}
	l.text = text
	if i := slices.IndexFunc(t, l.same); i >= 0 {
		t = slices.Clone(t)
		t[i] = l
		return t
	}
	return append(slices.Clone(t), l)
}

// TestMovesLeaveNoMomentWithoutARoute takes a router from any lines to any next
// hops, one command after the other.
func TestMovesLeaveNoMomentWithoutARoute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := topology.Cisco{
			Dialect:  rapid.SampledFrom(topology.Dialects()).Draw(t, "dialect"),
			Distance: rapid.SampledFrom([]int{1, 5}).Draw(t, "distance"),
			Strategy: rapid.SampledFrom([]topology.Strategy{topology.StrategyReplace, topology.StrategyFloating}).Draw(t, "strategy"),
			Tag:      rapid.SampledFrom([]uint32{0, 7}).Draw(t, "tag"),
		}
		if cfg.Dialect == topology.FRR && cfg.Tag == 0 {
			cfg.Tag = 5253
		}
		mode := rapid.SampledFrom([]topology.Mode{topology.Single, topology.ECMP}).Draw(t, "mode")
		a := newAuthor(cfg, someSite(mode))
		have := drawTable(t, a)
		change := steer.Change{Op: steer.Replace, Prefixes: []netip.Prefix{somePrefix}, Adopt: rapid.Bool().Draw(t, "adopt")}
		most := 1
		if mode == topology.ECMP {
			most = 3
		}
		for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, 3), 0, most, rapid.ID).Draw(t, "to") {
			change.To = append(change.To, steer.NextHop{Address: someHops[i], Weight: 1})
		}
		steer.SortNextHops(change.To)
		if len(change.To) == 0 {
			change.Op = steer.Remove
		}
		play(t, a, have, change)
	})
}

// play types what the plan says and watches.
func play(t *rapid.T, a *author, have table, change steer.Change) {
	m := a.plan(change, somePrefix, have)
	if m.err != nil {
		if len(m.add)+len(m.remove) > 0 {
			t.Fatalf("a refused move types: %v", m)
		}
		return
	}
	now := have
	forwarded := len(now) > 0
	step := func(l line, text string) {
		now = now.typeIn(t, l, text)
		if forwarded && len(now) == 0 && change.Op != steer.Remove {
			t.Fatalf("after %q the prefix has no route", text)
		}
		forwarded = forwarded || len(now) > 0
	}
	for _, l := range m.add {
		m.added = append(m.added, l)
		step(l, a.dialect.write(l))
	}
	checkUndo(t, a, m, have, now)
	for _, l := range m.remove {
		step(l, "no "+l.text)
	}
	checkForeign(t, a, have, now, change)
	for _, r := range a.routes(somePrefix, now) {
		if !r.Foreign && (!slices.Equal(r.NextHops, change.To) || r.Stray) {
			t.Fatalf("from %s to %s: the router has %s, stray %v", texts(have), steer.FormatNextHops(change.To), texts(now), r.Stray)
		}
	}
	if next := a.plan(change, somePrefix, now); next.err != nil || len(next.add)+len(next.remove) > 0 {
		t.Fatalf("a second pass over %s does more: %v, %v, %v", texts(now), next.add, next.remove, next.err)
	}
}

// checkUndo takes back what was added: the router is as it was.
func checkUndo(t *rapid.T, a *author, m *move, have, now table) {
	for _, c := range m.undo(a.dialect) {
		l := line{vrf: a.cfg.VRF, prefix: somePrefix}
		for _, h := range slices.Concat(have, now) {
			if h.text == c.text || "no "+h.text == c.text {
				l = h
			}
		}
		now = now.typeIn(t, l, c.text)
	}
	if before, after := sorted(have), sorted(now); !slices.Equal(before, after) {
		t.Fatalf("taken back: the router has %q, before it had %q", after, before)
	}
}

func sorted(lines table) []string {
	var all []string
	for _, l := range lines {
		all = append(all, l.text)
	}
	slices.Sort(all)
	return all
}

// checkForeign holds that somebody else's lines stay, unless we may take them.
func checkForeign(t *rapid.T, a *author, have, now table, change steer.Change) {
	for _, l := range have {
		kept := slices.ContainsFunc(now, func(n line) bool { return n.text == l.text })
		if !a.owns(l) && !kept && !change.Adopt {
			t.Fatalf("%q, which is not ours, is gone", l.text)
		}
		if !kept && !a.owns(l) && l.distance > 200 && !slices.ContainsFunc(a.want(somePrefix, change.To), l.same) {
			t.Fatalf("%q, which waits in reserve, is gone", l.text)
		}
		if !kept && len(l.extra) > 0 {
			t.Fatalf("%q, which we do not understand, is gone", l.text)
		}
	}
}

// drawTable draws lines of ours and of others, each for a next hop of its own,
// as all routers that are known keep them.
func drawTable(t *rapid.T, a *author) table {
	var lines table
	for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, 3), 0, 4, rapid.ID).Draw(t, "lines") {
		l := a.line(somePrefix, someHops[i], rapid.SampledFrom([]int{1, 5, 11, 15, 21, 250}).Draw(t, "of distance"))
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			l.name, l.tag = "", 99
		case 1:
			l.name, l.permanent = "", a.dialect.named > 0
		}
		l.text = a.dialect.write(l)
		if rapid.IntRange(0, 9).Draw(t, "tracked") == 0 {
			l.extra = []string{"track", "150"}
			l.text += " track 150"
		}
		lines = append(lines, l)
	}
	return lines
}
