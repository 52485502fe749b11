package bgp

import (
	"context"
	"encoding/binary"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// modern is what any router of today says it can do.
func modern() []bgp.ParameterCapabilityInterface {
	return []bgp.ParameterCapabilityInterface{
		bgp.NewCapMultiProtocol(bgp.RF_IPv4_UC), bgp.NewCapMultiProtocol(bgp.RF_IPv6_UC), bgp.NewCapFourOctetASNumber(theirAS),
	}
}

// TestAMoveIsOneUpdate: the new next hop in the place of the old one, for all
// prefixes at once, and no withdrawal before it.
func TestAMoveIsOneUpdate(t *testing.T) {
	if elsewhere(t) {
		return
	}
	p := newRouter(t).listen(t)
	m := speak(t, site(nil), vip4, vip4b, vip6)
	m.send(only(vip4, vip4b), web1)
	m.send(only(vip6), web16)
	p.accept(modern()...)
	for got := 0; got < 3; {
		prefixes, _ := announces(p.next())
		got += len(prefixes)
	}
	for _, move := range []struct {
		prefixes []netip.Prefix
		hop      netip.Addr
	}{{only(vip4), web2}, {only(vip6), web26}, {only(vip4), web1}, {only(vip4b), web2}, {only(vip6), web16}} {
		m.send(move.prefixes, move.hop)
		update := p.next()
		prefixes, hop := announces(update)
		if withdraws(update) || len(prefixes) != len(move.prefixes) || hop != move.hop {
			t.Errorf("move of %v to %s: UPDATE %v", move.prefixes, move.hop, update)
		}
	}
	m.send(only(vip4), web1) // it is there: nothing is sent
	m.send(only(vip4))
	if update := p.next(); !withdraws(update) {
		t.Errorf("withdrawal: UPDATE %v", update)
	}
}

// many are n single addresses.
func many(n int) []netip.Prefix {
	prefixes := make([]netip.Prefix, n)
	for i := range prefixes {
		prefixes[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
	}
	return prefixes
}

// TestManyPrefixesShareUpdates: 8,000 prefixes with the same attributes. The
// fewest messages of 4,096 bytes are 10; a few more leave while the speaker is
// still being told. Without the gate it takes thousands.
func TestManyPrefixesShareUpdates(t *testing.T) {
	const n, fewest, most = 8_000, 10, 100
	p := newRouter(t).listen(t)
	prefixes := many(n)
	m := speak(t, site(nil), prefixes...)
	m.send(prefixes, web1)
	p.accept(modern()...)
	p.count(n, web1)
	for _, hop := range addrs("192.0.2.12", "192.0.2.11") {
		m.send(prefixes, hop)
		if got := p.count(n, hop); got < fewest || got > most {
			t.Errorf("a move of %d prefixes took %d UPDATEs, want %d to %d", n, got, fewest, most)
		} else {
			t.Logf("a move of %d prefixes took %d UPDATEs", n, got)
		}
	}
}

// TestPrefixesOfManyKindsShareUpdates: 8,000 of 40 kinds of attributes. The fewest
// are 40. If they were announced in any order, each batch would hold some of all
// kinds: 160.
func TestPrefixesOfManyKindsShareUpdates(t *testing.T) {
	const n, kinds, most = 8_000, 40, 90
	p := newRouter(t).listen(t)
	prefixes := many(n)
	all := vips(prefixes...)
	for i := range all {
		all[i].BGP = &topology.OwnAttributes{Communities: []topology.Community{{Global: 65000, Local1: uint32(i % kinds)}}}
	}
	m := &mouth{T: t, host: NewHost(t.TempDir(), quiet())}
	t.Cleanup(m.host.Close)
	m.openVIPs(site(nil), all)
	m.send(prefixes, web1)
	p.accept(modern()...)
	p.count(n, web1)
	m.send(prefixes, web2)
	if got := p.count(n, web2); got < kinds || got > most {
		t.Errorf("a move took %d UPDATEs, want %d to %d", got, kinds, most)
	} else {
		t.Logf("a move took %d UPDATEs", got)
	}
}

// count counts UPDATEs until n prefixes have been announced by the next hop. None
// may withdraw.
func (p *rawPeer) count(n int, hop netip.Addr) int {
	p.t.Helper()
	seen := map[string]bool{}
	for updates := 1; ; updates++ {
		update := p.next()
		if withdraws(update) {
			p.t.Fatal("a move withdraws")
		}
		prefixes, nextHop := announces(update)
		if nextHop != hop {
			p.t.Fatalf("next hop %s, want %s", nextHop, hop)
		}
		for _, prefix := range prefixes {
			seen[prefix.NLRI.String()] = true
		}
		if len(seen) == n {
			return updates
		}
	}
}

// TestAnUpdateThatCrashedItsPredecessorsCrashesNothing: an UPDATE with AS4_PATH
// before AS_PATH, from a router without 4-octet AS numbers, ended any process
// with GoBGP up to 3.37 (CVE-2026-41643).
func TestAnUpdateThatCrashedItsPredecessorsCrashesNothing(t *testing.T) {
	if elsewhere(t) {
		return
	}
	p := newRouter(t).listen(t)
	m := speak(t, site(nil), vip4)
	m.send(only(vip4), web1)
	p.accept(bgp.NewCapMultiProtocol(bgp.RF_IPv4_UC))
	p.next()
	p.write(message(bgp.BGP_MSG_UPDATE, attributesAndPrefix(
		[]byte{0x40, 1, 1, 0},                                  // ORIGIN
		[]byte{0xc0, 17, 6, 2, 1, 0, 1, 0x11, 0x70},            // AS4_PATH
		[]byte{0x40, 3, 4, 192, 0, 2, 1},                       // NEXT_HOP
		[]byte{0x40, 2, 4, 2, 1, theirAS >> 8, theirAS & 0xff}, // AS_PATH
	)))
	m.informed("the UPDATE has arrived", func(info drivers.Info) bool {
		return info.Down != nil || strings.Contains(strings.Join(info.Problems, ""), "announces 1 prefixes to us")
	})
	m.send(only(vip4), web2)
	p.hears(web2, bgp.NewCapMultiProtocol(bgp.RF_IPv4_UC))
}

// attributesAndPrefix is the body of an UPDATE for 198.51.100.0/24.
func attributesAndPrefix(attributes ...[]byte) []byte {
	var all []byte
	for _, a := range attributes {
		all = append(all, a...)
	}
	body := binary.BigEndian.AppendUint16([]byte{0, 0}, uint16(len(all)))
	return append(append(body, all...), 24, 198, 51, 100)
}

// message is a message with its header.
func message(kind uint8, body []byte) []byte {
	header := make([]byte, bgp.BGP_HEADER_LENGTH)
	for i := range 16 {
		header[i] = 0xff
	}
	binary.BigEndian.PutUint16(header[16:], uint16(len(header)+len(body)))
	header[18] = kind
	return append(header, body...)
}

// TestMalformedMessagesEndASessionAtMost: it is begun anew, and announces what
// it should.
func TestMalformedMessagesEndASessionAtMost(t *testing.T) {
	if elsewhere(t) {
		return
	}
	p := newRouter(t).listen(t)
	m := speak(t, site(nil), vip4)
	m.send(only(vip4), web1)
	p.accept(modern()...)
	for i, bad := range [][]byte{
		message(bgp.BGP_MSG_UPDATE, []byte{0xff, 0xff}), // a length beyond the message
		message(99, nil), // no such type
		message(bgp.BGP_MSG_UPDATE, attributesAndPrefix([]byte{0x40, 1, 1, 9}, []byte{0x40, 2, 0}, []byte{0x40, 3, 4, 192, 0, 2, 1})), // no such origin
		message(bgp.BGP_MSG_UPDATE, attributesAndPrefix([]byte{0xc0, 14, 3, 0, 2, 1})),                                                // half an MP_REACH_NLRI
	} {
		p.hears([]netip.Addr{web1, web2}[i%2], modern()...)
		p.write(bad)
		m.send(only(vip4), []netip.Addr{web2, web1}[i%2])
	}
	p.hears(web1, modern()...)
}

// TestARouterThatSendsAllItHasIsToldOf: none of 20,000 routes is used, nor
// announced to anybody, nor takes more memory than they need.
func TestARouterThatSendsAllItHasIsToldOf(t *testing.T) {
	if elsewhere(t) {
		return
	}
	const n = 20_000
	p := newRouter(t).listen(t)
	m := speak(t, site(nil), vip4)
	m.send(only(vip4), web1)
	p.accept(modern()...)
	p.next()
	before := heap()
	all := many(n)
	for at := 0; at < n; at += 500 {
		p.send(updateOf(t, all[at:at+500]))
	}
	info := m.informed("all have arrived", func(info drivers.Info) bool {
		return strings.Contains(strings.Join(info.Problems, ""), "announces 20000 prefixes to us, none of which is used")
	})
	t.Logf("%s; %d MB", info.Problems, (heap()-before)>>20)
	if took := heap() - before; took > 64<<20 {
		t.Errorf("they take %d MB", took>>20)
	}
	routes, err := m.driver.Routes(t.Context())
	if err != nil || len(routes) != 1 || routes[0].Prefix != vip4 {
		t.Errorf("routes %v, %v", routes, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := m.driver.Apply(ctx, []steer.Change{{Op: steer.Replace, Prefixes: only(vip4), To: to(web2)}}); err != nil {
		t.Error(err)
	}
	if _, hop := announces(p.next()); hop != web2 {
		t.Errorf("next hop %s, want %s", hop, web2)
	}
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// updateOf announces prefixes, as a router does.
func updateOf(t *testing.T, prefixes []netip.Prefix) *bgp.BGPMessage {
	t.Helper()
	var nlri []bgp.PathNLRI
	for _, p := range prefixes {
		prefix, err := bgp.NewIPAddrPrefix(p)
		if err != nil {
			t.Fatal(err)
		}
		nlri = append(nlri, bgp.PathNLRI{NLRI: prefix})
	}
	next, err := bgp.NewPathAttributeNextHop(router4)
	if err != nil {
		t.Fatal(err)
	}
	path := bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, []uint32{theirAS})
	return bgp.NewBGPUpdateMessage(nil, []bgp.PathAttributeInterface{
		bgp.NewPathAttributeOrigin(0), bgp.NewPathAttributeAsPath([]bgp.AsPathParamInterface{path}), next,
	}, nlri)
}
