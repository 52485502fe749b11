package cisco

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/routesteer/routesteer/steer"
)

// A move is what is typed for one prefix: add, wait until the router forwards by
// it, then remove. So there is no moment without a route.
type move struct {
	change steer.Change // narrowed to the prefix
	prefix netip.Prefix
	add    []line
	await  []netip.Addr // next hops by which the prefix must be forwarded before anything is removed
	late   bool         // or afterwards, where the router uses them only when better ones are gone
	remove []line       // as the router printed them

	have    []line // before
	added   []line // so far
	removed []line
	said    string // what the router said to a line that it took
	err     error  // why it stopped
}

// errForeign is the refusal of a prefix that somebody else has routes for.
var errForeign = errors.New("a static route that is not ours is in the way; remove it on the router, or set adopt: true")

// plan says what makes a change of one prefix true, given the router's lines
// for it.
func (a *author) plan(change steer.Change, prefix netip.Prefix, have []line) *move {
	m := &move{change: change.For(prefix), prefix: prefix, have: have}
	if m.err = a.refuse(change, prefix, have); m.err != nil {
		return m
	}
	want := a.want(prefix, change.To)
	mine := a.takeOver(change, have, want)
	a.inherit(want, mine)
	for _, w := range want {
		if !slices.ContainsFunc(mine, func(h line) bool { return h.same(w) && a.owns(h) && a.accepts(h, w) }) {
			m.add = append(m.add, w)
		}
	}
	for _, h := range mine {
		if !slices.ContainsFunc(want, h.same) {
			m.remove = append(m.remove, h)
		}
	}
	// From the worst on, so that the router never turns to one that goes too.
	slices.SortStableFunc(m.remove, func(a, b line) int { return b.distance - a.distance })
	m.forwardBy(want, mine)
	if len(m.add) == 0 && len(m.remove) == 0 && !a.tidy(mine, want) {
		// To remove one might remove both: routers differ in what "no" is about.
		m.err = fmt.Errorf("the router keeps several lines for one next hop: %s; remove all but one on the router", texts(mine))
	}
	return m
}

// refuse says why a change cannot be made at all.
func (a *author) refuse(change steer.Change, prefix netip.Prefix, have []line) error {
	switch {
	case !a.ours[prefix]:
		return errors.New("it is no VIP of the site")
	case change.Op != steer.Remove && len(change.To) == 0:
		return errors.New("the change has no next hop")
	case change.Op == steer.Remove:
		return nil
	}
	want, ours := a.want(prefix, change.To), slices.ContainsFunc(have, a.owns)
	for _, l := range have {
		// One that we would overwrite counts also beside routes of ours: to a router
		// it is the same route with other options.
		overwritten := slices.ContainsFunc(want, l.same)
		switch {
		case a.owns(l) || !overwritten && !a.competes(l):
		case change.Adopt && !l.plain():
			return fmt.Errorf("it cannot be taken over, because that would lose a part of %q; remove the line on the router first", l.text)
		case !change.Adopt && (overwritten || !ours):
			return fmt.Errorf("%w: %s", errForeign, l.text)
		}
	}
	return nil
}

// takeOver is the lines that are ours to replace: those that carry our mark and,
// with adopt, others in the way.
func (a *author) takeOver(change steer.Change, have, want []line) []line {
	adopt := change.Adopt && change.Op != steer.Remove
	return slices.DeleteFunc(slices.Clone(have), func(l line) bool {
		return !a.owns(l) && !(adopt && (a.competes(l) || slices.ContainsFunc(want, l.same)))
	})
}

// inherit gives the lines that are wanted the options of those they replace
// that the file says nothing of: route maps may look at a tag.
func (a *author) inherit(want, mine []line) {
	if len(mine) == 0 {
		return
	}
	from := best(mine)[0]
	for i := range want {
		want[i].permanent = from.permanent
		if a.cfg.Tag == 0 {
			want[i].tag = from.tag
		}
	}
}

// forwardBy sets what the router must forward by: the wanted lines that it
// prefers.
func (m *move) forwardBy(want, mine []line) {
	if len(want) == 0 {
		return
	}
	active := best(want)
	m.late = len(mine) > 0 && best(mine)[0].distance < active[0].distance
	for _, l := range active {
		m.await = append(m.await, l.via)
	}
}

// undo is what takes back the lines typed so far: the line that one of them has
// replaced, or its removal.
func (m *move) undo(d *dialect) []command {
	var all []command
	for _, l := range slices.Backward(m.added) {
		if i := slices.IndexFunc(m.have, l.same); i >= 0 {
			all = append(all, command{m.have[i].context, m.have[i].text})
		} else {
			all = append(all, command{l.context, "no " + d.write(l)})
		}
	}
	return all
}

// A command is a line and the mode that it is typed in.
type command struct {
	context []string
	text    string
}

// String writes the command as people read it.
func (c command) String() string { return strings.Join(append(slices.Clone(c.context), c.text), " / ") }

// render returns the lines that Apply would type for the changes, if the router
// has what was seen of it or, where nothing was, what the changes say it has.
func (a *author) render(changes []steer.Change, seen map[netip.Prefix][]line) []string {
	var all []string
	for _, change := range changes {
		for _, prefix := range change.Prefixes {
			have := seen[prefix]
			if len(have) == 0 && change.Op != steer.Add {
				have = a.written(prefix, change.From)
			}
			m := a.plan(change, prefix, have)
			for _, l := range m.add {
				all = append(all, command{l.context, a.dialect.write(l)}.String())
			}
			for _, l := range m.remove {
				all = append(all, command{l.context, "no " + l.text}.String())
			}
		}
	}
	return all
}

// written is our lines for next hops as the router would print them.
func (a *author) written(prefix netip.Prefix, to []steer.NextHop) []line {
	lines := a.want(prefix, to)
	for i := range lines {
		lines[i].text = a.dialect.write(lines[i])
	}
	return lines
}
