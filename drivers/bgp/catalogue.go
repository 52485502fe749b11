package bgp

import (
	"net/netip"

	"github.com/routesteer/routesteer/topology"
)

// A catalogue is the site's prefixes, which alone may be announced, and what
// their paths carry besides their next hops. It is never changed.
type catalogue map[netip.Prefix]*attributes

// newCatalogue takes attributes that are the same in the former catalogue from
// there, so that what has not changed is found by comparing pointers.
func newCatalogue(cfg *topology.BGP, vips []topology.VIP, former catalogue) catalogue {
	known := map[string]*attributes{}
	for _, a := range former {
		known[a.words] = a
	}
	made := map[*topology.OwnAttributes]*attributes{} // VIPs of one entry share what they have of their own
	c := make(catalogue, len(vips))
	for _, vip := range vips {
		if made[vip.BGP] == nil {
			a := newAttributes(cfg.ASN, cfg.Attributes.For(vip.BGP))
			if known[a.words] == nil {
				known[a.words] = a
			}
			made[vip.BGP] = known[a.words]
		}
		c[vip.Prefix] = made[vip.BGP]
	}
	return c
}

// words are what a prefix's paths carry, for operators.
func (c catalogue) words(p netip.Prefix) string {
	if a := c[p]; a != nil {
		return a.words
	}
	return ""
}
