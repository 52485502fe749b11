package bgp

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// ownVIPs are three VIPs: one with attributes of its own, one with no
// communities, and one with what the router says.
func ownVIPs() []topology.VIP {
	med, preference, prepend := uint32(0), uint32(300), 1
	all := vips(vip4, vip4b, vip6)
	all[0].BGP = &topology.OwnAttributes{
		Communities: []topology.Community{{Global: 65000, Local1: 7}},
		MED:         &med, LocalPref: &preference, Prepend: &prepend, Origin: topology.OriginEGP,
	}
	all[1].BGP = &topology.OwnAttributes{Communities: []topology.Community{}}
	return all
}

// sendAll announces the VIPs' prefixes in one call.
func (m *mouth) sendAll(hop4, hop6 netip.Addr) {
	m.Helper()
	changes := []steer.Change{
		{Op: steer.Replace, Prefixes: only(vip4, vip4b), To: to(hop4)}, {Op: steer.Replace, Prefixes: only(vip6), To: to(hop6)},
	}
	if n, err := m.driver.Apply(m.Context(), changes); n != 3 || err != nil {
		m.Fatal(n, err)
	}
}

func TestAVIPsOwnAttributesAreWhatBIRDSees(t *testing.T) {
	if elsewhere(t) {
		return
	}
	b := newRouter(t).startBird(birdConfig)
	m := &mouth{T: t, host: NewHost(t.TempDir(), quiet())}
	t.Cleanup(m.host.Close)
	m.openVIPs(site(withAttributes), ownVIPs())
	m.sendAll(web1, web16)
	b.routes(vip4, web1)
	b.routes(vip4b, web1)
	b.routes(vip6, web16)
	own, bare, common := b.birdc("show route all for %s", vip4), b.birdc("show route all for %s", vip4b), b.birdc("show route all for %s", vip6)
	needs(t, own, "BGP.as_path: 65000 65000\n", "BGP.med: 0", "BGP.origin: EGP", "BGP.community: (65000,7)\n")
	lacks(t, own, "large_community")
	needs(t, bare, "BGP.as_path: 65000 65000 65000\n", "BGP.med: 10", "BGP.origin: Incomplete")
	lacks(t, bare, "community")
	needs(t, common, "BGP.med: 10", "BGP.community: (65000,100) (65535,65281)", "BGP.large_community: (65000, 1, 2)")

	commands := m.driver.Render([]steer.Change{{Op: steer.Replace, Prefixes: only(vip4, vip4b), To: to(web2)}})
	needs(t, commands[0], "announce 203.0.113.32/27 next hop 192.0.2.12 med 0 local_pref 300 prepend 1 origin egp community 65000:7")
	lacks(t, commands[1], "community")
	routes, err := m.driver.Routes(t.Context())
	if err != nil || len(routes) != 3 || routes[0].Stray || routes[1].Stray || routes[2].Stray {
		t.Fatalf("%+v, %v", routes, err)
	}
	needs(t, routes[0].Detail, "prepend 1 origin egp community 65000:7")
}

func TestAVIPsOwnAttributesAreWhatFRRSees(t *testing.T) {
	if elsewhere(t) {
		return
	}
	f := newRouter(t).startFRR(frrConfig)
	m := &mouth{T: t, host: NewHost(t.TempDir(), quiet())}
	t.Cleanup(m.host.Close)
	m.openVIPs(site(withAttributes), ownVIPs())
	m.sendAll(web1, web16)
	f.routes(vip4, web1)
	f.routes(vip4b, web1)
	f.routes(vip6, web16)
	own, bare, common := f.show("show bgp ipv4 unicast "+vip4.String()), f.show("show bgp ipv4 unicast "+vip4b.String()), f.show("show bgp ipv6 unicast "+vip6.String())
	needs(t, own, "\n  65000 65000\n", "metric 0", "Origin EGP", "Community: 65000:7\n")
	lacks(t, own, "Large Community")
	needs(t, bare, "\n  65000 65000 65000\n", "metric 10", "Origin incomplete")
	lacks(t, bare, "ommunity")
	needs(t, common, "metric 10", "65000:100", "no-export", "Large Community: 65000:1:2")
}

// TestAReloadChangesAttributesInPlace: no session is touched, no route missed.
func TestAReloadChangesAttributesInPlace(t *testing.T) {
	if elsewhere(t) {
		return
	}
	b := newRouter(t).startBird(birdConfig)
	m := speak(t, site(withAttributes), vip4, vip4b, vip6)
	m.sendAll(web1, web16)
	b.routes(vip4, web1)
	b.routes(vip4b, web1)
	b.routes(vip6, web16)
	since := m.established().Sessions[0].Since
	gone := b.removals(vip4)
	m.openVIPs(site(nil), ownVIPs())
	b.soon("BIRD has the new attributes", func() bool {
		return strings.Contains(b.birdc("show route all for %s", vip4), "BGP.community: (65000,7)\n") &&
			!strings.Contains(b.birdc("show route all for %s", vip6), "community")
	})
	b.routes(vip4, web1)
	if gaps := gone(); len(gaps) > 0 {
		t.Error(gaps)
	}
	if now := m.established().Sessions[0].Since; !now.Equal(since) {
		t.Errorf("the session was begun at %v, and again at %v", since, now)
	}
}

// TestAttributesThatDifferReadDifferently: the words by which equal ones are
// found, and operators know them.
func TestAttributesThatDifferReadDifferently(t *testing.T) {
	draw := rapid.Custom(func(t *rapid.T) topology.Attributes {
		return topology.Attributes{
			MED:       rapid.Ptr(rapid.Uint32Range(0, 1), true).Draw(t, "med"),
			LocalPref: rapid.Uint32Range(99, 101).Draw(t, "local pref"),
			Prepend:   rapid.IntRange(0, 2).Draw(t, "prepend"),
			Origin:    rapid.SampledFrom([]topology.Origin{topology.OriginIGP, topology.OriginEGP, topology.OriginIncomplete}).Draw(t, "origin"),
			Communities: rapid.SliceOfN(rapid.SampledFrom([]topology.Community{
				{Global: 1, Local1: 2}, {Global: 65535}, {Large: true, Global: 1, Local1: 2}, {Large: true, Local1: 1, Local2: 2},
			}), 0, 2).Draw(t, "communities"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		if same := reflect.DeepEqual(a, b); same != (wordsOf(a) == wordsOf(b)) {
			t.Fatalf("the same: %v\n%q\n%q", same, wordsOf(a), wordsOf(b))
		}
	})
}
