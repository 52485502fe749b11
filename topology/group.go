package topology

import (
	"slices"
	"strings"
)

// maxMembers is how many checks one check of several can name.
const maxMembers = 16

// A group is a check of several half read: its members may be defined further
// down.
type group struct {
	name    CheckName
	members []cursor
	needsAt cursor // of quorum; of no meaning otherwise
	all     bool
	needs   int // unless all
}

// groupKeys are the keys that make a check of others.
func groupKeys() []string { return []string{"all", "any", "quorum"} }

// readGroup reads a check of several: all, any, or quorum with of.
func (r *reader) readGroup(name CheckName, f fields) {
	kind, ok := groupKind(name, f)
	if !ok {
		return
	}
	for _, key := range checkTerms() {
		if e, vain := f.values[key]; vain {
			e.key.problem("%s is for each of the checks that %s names to say", key, name)
		}
	}
	g := group{name: name, all: kind == "all", needs: 1}
	listed, _ := f.get(kind)
	if kind == "quorum" {
		g.needsAt = listed
		n, _ := listed.integer(1, maxMembers)
		of, known := f.get("of")
		if !known {
			f.problem("a quorum needs the checks that it is of, such as {quorum: 2, of: [a, b, c]}")
			return
		}
		g.needs, listed = int(n), of
	}
	g.members, _ = listed.words("a list of checks such as [web, dns]")
	r.groups = append(r.groups, g)
}

// groupKind is the one key that makes it one.
func groupKind(name CheckName, f fields) (kind string, ok bool) {
	given := f.given(append(groupKeys(), checkKinds()...)...)
	_, of := f.get("of")
	switch {
	case of && !slices.Contains(given, "quorum"):
		f.values["of"].key.problem("of goes with quorum, such as {quorum: 2, of: [a, b, c]}")
		return "", false
	case len(given) > 1:
		f.values[given[1]].key.problem("check %s is both %s and %s: make two checks of it", name, given[0], given[1])
		return "", false
	}
	return given[0], true
}

// completeGroups makes checks of the groups, now that all others are known.
func (r *reader) completeGroups() {
	isGroup := map[string]bool{}
	for _, g := range r.groups {
		isGroup[string(g.name)] = true
	}
	for _, g := range r.groups {
		if of, ok := r.members(g, isGroup); ok {
			r.site.Checks = append(r.site.Checks, r.completeGroup(g, of))
		}
	}
}

func (r *reader) completeGroup(g group, of []CheckName) Check {
	if g.all {
		g.needs = len(of)
	}
	if g.needs > len(of) {
		g.needsAt.problem("a quorum of %d needs as many checks, found %d", g.needs, len(of))
	}
	check := Check{Name: g.name, Through: ThroughAddress, Group: &Group{Needs: g.needs, Of: of}}
	for _, member := range r.site.Checks {
		if slices.Contains(of, member.Name) && member.Through == ThroughVIP {
			check.Through = ThroughVIP
		}
	}
	return check
}

// members reads the names of a group's members.
func (r *reader) members(g group, isGroup map[string]bool) (of []CheckName, ok bool) {
	if len(g.members) > maxMembers {
		g.members[maxMembers].problem("a check of several has at most %d", maxMembers)
		return nil, false
	}
	for _, item := range g.members {
		word, good := item.word("the name of a check")
		name := CheckName(word)
		switch {
		case !good:
			continue
		case isGroup[word]:
			item.problem("check %s is one of several itself: name its checks here", shorten(word))
			continue
		case slices.Contains(of, name):
			item.problem("check %s is named twice", shorten(word))
			continue
		}
		r.useCheck(item, name)
		of = append(of, name)
	}
	return of, len(of) == len(g.members) && len(of) > 0
}

// Members are the checks that a check of several consists of, in the order of the
// file; of any other, itself.
func (s *Site) Members(check Check) []Check {
	if check.Group == nil {
		return []Check{check}
	}
	members := make([]Check, 0, len(check.Group.Of))
	for _, name := range check.Group.Of {
		if member, ok := s.Check(name); ok {
			members = append(members, member)
		}
	}
	return members
}

// kindList is what a check can be, for messages.
func kindList() string {
	return strings.Join(checkKinds(), ", ") + ", or all, any, quorum of others"
}
