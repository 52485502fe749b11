package cisco

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// Config returns the lines that make changes on a router that has nothing of them
// yet, in the order in which they are typed or pasted at its privileged prompt:
// from "configure terminal" to "end". Nothing is saved. It is a pure function; its
// error names the prefixes that no such router can send there.
func Config(cfg topology.Cisco, site *topology.Site, changes []steer.Change) ([]string, error) {
	a := newAuthor(cfg, site)
	lines := []string{"configure terminal"}
	var mode []string // that the router is in
	var refused []error
	for _, change := range changes {
		for _, prefix := range change.Prefixes {
			refused = append(refused, sameFamily(prefix, change.To))
			for _, l := range a.want(prefix, change.To) {
				if !slices.Equal(l.context, mode) {
					lines = append(leave(lines, mode), l.context...)
					mode = l.context
				}
				lines = append(lines, a.dialect.write(l))
			}
		}
	}
	lines = append(leave(lines, mode), a.dialect.commit...)
	return append(lines, "end"), errors.Join(refused...)
}

// sameFamily is an error where a prefix would go to next hops of the other
// family: only Linux does that (RFC 8950).
func sameFamily(prefix netip.Prefix, to []steer.NextHop) error {
	for _, hop := range to {
		if hop.Address.Is4() != prefix.Addr().Is4() {
			return fmt.Errorf("%s cannot go to %s on such a router: only a linux router sends IPv4 to IPv6 addresses (via_inet6)", prefix, hop.Address)
		}
	}
	return nil
}

// leave adds what leads from a mode back to configuration mode.
func leave(lines, mode []string) []string {
	for range mode {
		lines = append(lines, "exit")
	}
	return lines
}
