package cisco

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/routesteer/routesteer/topology"
)

// A dialect is what one family of command lines has of its own. Adding one is
// one file with one function, and its name in dialectOf.
type dialect struct {
	screen []string // typed after the login: no pager, wide lines, no log. Refusals are no harm
	read   []string // what shows all static routes, between them
	do     string   // before a show command in configuration mode

	// write writes a route as it is typed, in the mode that enter leads to.
	write func(l line) string
	enter func(vrf string, ipv6 bool) []string

	// show is the command that shows where a prefix is forwarded, and via what
	// finds in its answer.
	show func(vrf string, prefix netip.Prefix) string
	via  func(answer string, prefix netip.Prefix) []netip.Addr

	commit  []string // typed in configuration mode to make changes take effect; nil where they do at once
	abandon []string // typed there before leaving it with changes that are not wanted
	save    string   // "" where nothing need be saved
	saved   *regexp.Regexp

	named int // longest name of a route that marks it as ours; 0 where the tag does
}

// dialectOf returns a dialect.
func dialectOf(name topology.Dialect) *dialect {
	switch name {
	case topology.IOS:
		return ios()
	case topology.IOSXR:
		return iosxr()
	case topology.NXOS:
		return nxos()
	case topology.EOS:
		return eos()
	case topology.FRR:
		return frr()
	default:
		panic("cisco: unknown dialect " + string(name))
	}
}

// topLevel is the enter of dialects that take routes, whatever their VRF, in
// configuration mode itself.
func topLevel(string, bool) []string { return nil }

// verb is the first words of a route.
func verb(l line) string {
	if l.prefix.Addr().Is4() {
		return "ip route"
	}
	return "ipv6 route"
}

// options writes the options of a line, each if it is given, in an order of
// words: "distance", "tag", "permanent", "name" or "description".
func options(l line, order ...string) string {
	var b strings.Builder
	for _, word := range order {
		switch {
		case word == "distance" && l.distance != 1:
			b.WriteString(" " + strconv.Itoa(l.distance))
		case word == "tag" && l.tag != 0:
			fmt.Fprintf(&b, " tag %d", l.tag)
		case word == "permanent" && l.permanent:
			b.WriteString(" permanent")
		case (word == "name" || word == "description") && l.name != "":
			b.WriteString(" " + word + " " + l.name)
		}
	}
	return b.String()
}

// inVRF is "vrf RED " for routes of a VRF.
func inVRF(vrf string) string {
	if vrf == "" {
		return ""
	}
	return "vrf " + vrf + " "
}

// wordsVia finds every address in an answer that tells of exactly this prefix;
// nil if it tells of another, which a router shows when it has no such route.
func wordsVia(answer string, prefix netip.Prefix) []netip.Addr {
	var via []netip.Addr
	told := false
	for _, word := range strings.Fields(answer) {
		word = strings.Trim(word, ",;*")
		if p, err := netip.ParsePrefix(word); err == nil {
			told = told || p.Masked() == prefix
			continue
		}
		if addr, err := netip.ParseAddr(word); err == nil {
			via = append(via, addr)
		}
	}
	if !told {
		return nil
	}
	return via
}
