package bgp

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// unitBandwidth is the link bandwidth that stands for weight 1, in bytes a
// second: 1 Mbit/s.
const unitBandwidth = 125_000

// attributes are what a path carries besides its next hop. They are immutable,
// and equal ones of a speaker are one, to be compared by pointer.
type attributes struct {
	topology.Attributes
	asn   uint32 // ours
	words string // as an operator reads them, each after a space; no two are equal in them
}

func newAttributes(asn uint32, a topology.Attributes) *attributes {
	return &attributes{Attributes: a, asn: asn, words: wordsOf(a)}
}

// wordsOf writes attributes that are not as they are by default.
func wordsOf(a topology.Attributes) string {
	var b strings.Builder
	if a.MED != nil {
		fmt.Fprintf(&b, " med %d", *a.MED)
	}
	if a.LocalPref != 100 {
		fmt.Fprintf(&b, " local_pref %d", a.LocalPref)
	}
	if a.Prepend > 0 {
		fmt.Fprintf(&b, " prepend %d", a.Prepend)
	}
	if a.Origin != topology.OriginIGP {
		fmt.Fprintf(&b, " origin %s", a.Origin)
	}
	for _, c := range a.Communities {
		b.WriteString(" community " + c.String())
	}
	return b.String()
}

// of returns the attributes of a path to a next hop.
func (a *attributes) of(to target) []bgp.PathAttributeInterface {
	list := []bgp.PathAttributeInterface{
		bgp.NewPathAttributeOrigin(a.originCode()),
		bgp.NewPathAttributeAsPath(a.path()),
		bgp.NewPathAttributeLocalPref(a.LocalPref),
	}
	if a.MED != nil {
		list = append(list, bgp.NewPathAttributeMultiExitDisc(*a.MED))
	}
	if standard := a.standard(); len(standard) > 0 {
		list = append(list, bgp.NewPathAttributeCommunities(standard))
	}
	if large := a.large(); len(large) > 0 {
		list = append(list, bgp.NewPathAttributeLargeCommunities(large))
	}
	if to.weighted {
		bandwidth := bgp.NewLinkBandwidthExtended(a.shortASN(), float32(to.hop.Weight*unitBandwidth))
		list = append(list, bgp.NewPathAttributeExtendedCommunities([]bgp.ExtendedCommunityInterface{bandwidth}))
	}
	return list
}

func (a *attributes) originCode() uint8 {
	switch a.Origin {
	case topology.OriginEGP:
		return bgp.BGP_ORIGIN_ATTR_TYPE_EGP
	case topology.OriginIncomplete:
		return bgp.BGP_ORIGIN_ATTR_TYPE_INCOMPLETE
	default:
		return bgp.BGP_ORIGIN_ATTR_TYPE_IGP
	}
}

// path is the AS path before the speaker adds its AS for eBGP peers.
func (a *attributes) path() []bgp.AsPathParamInterface {
	if a.Prepend == 0 {
		return nil
	}
	return []bgp.AsPathParamInterface{bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, slices.Repeat([]uint32{a.asn}, a.Prepend))}
}

func (a *attributes) standard() []uint32 {
	var all []uint32
	for _, c := range a.Communities {
		if !c.Large {
			all = append(all, c.Global<<16|c.Local1)
		}
	}
	return all
}

func (a *attributes) large() []*bgp.LargeCommunity {
	var all []*bgp.LargeCommunity
	for _, c := range a.Communities {
		if c.Large {
			all = append(all, bgp.NewLargeCommunity(c.Global, c.Local1, c.Local2))
		}
	}
	return all
}

// shortASN is our AS where there is room for 16 bits: RFC 6793, section 4.2.1.
func (a *attributes) shortASN() uint16 {
	if a.asn > 65535 {
		return bgp.AS_TRANS
	}
	return uint16(a.asn)
}

// A pathMaker makes paths, and shares what they have in common.
type pathMaker map[target][]bgp.PathAttributeInterface

// path makes a path of the prefix.
func (m pathMaker) path(p netip.Prefix, s slot) (*apiutil.Path, error) {
	common, made := m[s.to]
	if !made {
		common = s.to.attributes.of(s.to)
		m[s.to] = common
	}
	nlri, err := bgp.NewIPAddrPrefix(p)
	if err != nil {
		return nil, fmt.Errorf("announce %s: %w", p, err)
	}
	family := familyOf(p)
	next, err := nextHop(family, nlri, s.to.hop.Address)
	if err != nil {
		return nil, fmt.Errorf("announce %s via %s: %w", p, s.to.hop.Address, err)
	}
	return &apiutil.Path{
		Family: family, Nlri: nlri, RemoteID: s.id,
		Attrs: append(slices.Clip(common), next),
	}, nil
}

// nextHop is the attribute that carries the next hop: NEXT_HOP, or
// MP_REACH_NLRI (RFC 4760) wherever IPv6 is involved.
func nextHop(family bgp.Family, nlri bgp.NLRI, hop netip.Addr) (bgp.PathAttributeInterface, error) {
	if family == bgp.RF_IPv4_UC && hop.Is4() {
		return bgp.NewPathAttributeNextHop(hop)
	}
	return bgp.NewPathAttributeMpReachNLRI(family, []bgp.PathNLRI{{NLRI: nlri}}, hop)
}

func familyOf(p netip.Prefix) bgp.Family {
	if p.Addr().Is6() {
		return bgp.RF_IPv6_UC
	}
	return bgp.RF_IPv4_UC
}

// readSlot reads a path of the table back, but for its attributes.
func readSlot(path *apiutil.Path) (slot, bool) {
	s := slot{id: path.RemoteID, to: target{hop: steer.NextHop{Weight: 1}}}
	for _, attribute := range path.Attrs {
		switch a := attribute.(type) {
		case *bgp.PathAttributeNextHop:
			s.to.hop.Address = a.Value
		case *bgp.PathAttributeMpReachNLRI:
			s.to.hop.Address = a.Nexthop
		case *bgp.PathAttributeExtendedCommunities:
			for _, community := range a.Value {
				if bandwidth, is := community.(*bgp.LinkBandwidthExtended); is {
					s.to.hop.Weight, s.to.weighted = int(bandwidth.Bandwidth/unitBandwidth), true
				}
			}
		}
	}
	return s, s.to.hop.Address.IsValid()
}
