package topology

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Community is a standard one (RFC 1997) or a large one (RFC 8092).
type Community struct {
	Large  bool
	Global uint32 // the AS; of a standard one 16 bits
	Local1 uint32 // of a standard one the only value, 16 bits
	Local2 uint32 // of a large one
}

// maxCommunities leave room for prefixes in an UPDATE.
const maxCommunities = 64

// String writes the community as it is configured: "65000:100", "no-export",
// "65000:1:2".
func (c Community) String() string {
	if c.Large {
		return fmt.Sprintf("%d:%d:%d", c.Global, c.Local1, c.Local2)
	}
	for _, known := range wellKnown() {
		if known.community == c {
			return known.name
		}
	}
	return fmt.Sprintf("%d:%d", c.Global, c.Local1)
}

type namedCommunity struct {
	name      string
	community Community
}

// wellKnown are communities with names: RFC 1997, RFC 3765, RFC 7999, RFC 8326,
// RFC 9494.
func wellKnown() []namedCommunity {
	of := func(local uint32) Community { return Community{Global: 65535, Local1: local} }
	return []namedCommunity{
		{"graceful-shutdown", of(0)},
		{"no-llgr", of(7)},
		{"blackhole", of(666)},
		{"no-export", of(65281)},
		{"no-advertise", of(65282)},
		{"no-export-subconfed", of(65283)},
		{"no-peer", of(65284)},
	}
}

// readCommunities reads a list of communities, of which none is given twice.
func readCommunities(c cursor) ([]Community, bool) {
	words, ok := c.words("a community or a list of them")
	if len(words) > maxCommunities {
		c.problem("expected at most %d communities, found %d", maxCommunities, len(words))
		return nil, false
	}
	var all []Community
	for _, word := range words {
		community, good := readCommunity(word)
		if good && slices.Contains(all, community) {
			word.problem("community %s is given twice", community)
			good = false
		}
		all, ok = append(all, community), ok && good
	}
	slices.SortFunc(all, compareCommunity)
	return all, ok
}

func compareCommunity(a, b Community) int {
	if a.Large != b.Large {
		if a.Large {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(a.Global, b.Global), cmp.Compare(a.Local1, b.Local1), cmp.Compare(a.Local2, b.Local2))
}

// readCommunity reads one community.
func readCommunity(c cursor) (Community, bool) {
	word, ok := c.word("a community such as \"65000:100\", \"65000:1:2\" or no-export")
	if !ok {
		return Community{}, false
	}
	var names []string
	for _, known := range wellKnown() {
		if known.name == word {
			return known.community, true
		}
		names = append(names, known.name)
	}
	community, ok := parseCommunity(word)
	if !ok {
		c.problem("%q is no community: expected AS:VALUE with 16 bits each, AS:VALUE:VALUE with 32, or one of %s",
			shorten(word), strings.Join(names, ", "))
	}
	return community, ok
}

func parseCommunity(word string) (Community, bool) {
	parts := strings.Split(word, ":")
	bits := 16
	if len(parts) == 3 {
		bits = 32
	}
	if len(parts) != 2 && len(parts) != 3 {
		return Community{}, false
	}
	var n [3]uint32
	for i, part := range parts {
		value, err := strconv.ParseUint(part, 10, bits)
		if err != nil {
			return Community{}, false
		}
		n[i] = uint32(value)
	}
	return Community{Large: len(parts) == 3, Global: n[0], Local1: n[1], Local2: n[2]}, true
}
