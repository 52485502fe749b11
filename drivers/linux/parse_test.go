package linux

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/steer"
)

// seeds are messages that the driver itself would write, and broken ones.
func seeds(t testing.TB) [][]byte {
	d := &Driver{cfg: defaults}
	big := &Driver{cfg: defaults}
	big.cfg.Table, big.cfg.Metric = 5253, 42
	seeds := [][]byte{
		d.writeRoute(vip4, target{hops: hops(t, "192.0.2.11")}, 0).payload,
		d.writeRoute(vip4, target{hops: hops(t, "192.0.2.11*256 192.0.2.12 2001:db8:1::1")}, 0).payload,
		d.writeRoute(vip6, target{hops: hops(t, "2001:db8:1::11")}, 0).payload,
		big.writeRoute(vip6, target{hops: hops(t, "2001:db8:1::11*3 2001:db8:1::12")}, 0).payload,
		big.writeRoute(netip.MustParsePrefix("0.0.0.0/0"), target{hops: hops(t, "2001:db8:1::11")}, 0).payload,
		appendUint32(routeHeader(unix.AF_INET, 27, 254, 82, 0, 1), rtaNHID, 7),
		routeHeader(unix.AF_INET, 200, 254, 82, 0, 1),
		routeHeader(99, 27, 254, 82, 0, 1),
		appendAttribute(routeHeader(unix.AF_INET, 27, 254, 82, 0, 1), unix.RTA_MULTIPATH, []byte{1, 0, 0, 0, 0, 0, 0, 0, 9}),
		appendAttribute(routeHeader(unix.AF_INET, 27, 254, 82, 0, 1), unix.RTA_VIA, []byte{10}),
		{}, {2}, make([]byte, 12),
	}
	for _, s := range seeds[:5] {
		seeds = append(seeds, s[:len(s)-3])
	}
	return seeds
}

// FuzzParseRoute holds that no message makes the parser panic or tell
// nonsense, and that what it takes for a route of ours survives being written
// and read again.
func FuzzParseRoute(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseRoute(b)
		if err != nil {
			return
		}
		table, p, ok := routeKey(b)
		if !ok || table != e.table || p != e.prefix || !p.IsValid() {
			t.Fatalf("routeKey says %d %s %v of %+v", table, p, ok, e)
		}
		d := &Driver{cfg: defaults}
		d.cfg.Table, d.cfg.Metric, d.cfg.Protocol = int(e.table), int(e.metric), e.protocol
		l := &look{faces: map[*shape]*face{}}
		seen := d.face(l, e.shape)
		_ = e.detail(seen, func(uint32) string { return "lan0" })
		deleteRoute(e).encode(nil, 1)
		to := seen.nextHops
		if !seen.proper || e.nexthopID != 0 || checkNextHops(steer.Change{Prefixes: []netip.Prefix{p}, To: to}) != nil {
			return
		}
		again, err := parseRoute(d.writeRoute(p, target{hops: to}, 0).payload)
		if err != nil || again.prefix != p || steer.FormatNextHops(d.face(l, again.shape).nextHops) != steer.FormatNextHops(to) {
			t.Fatalf("written and read again, %+v is %+v, %v", e, again, err)
		}
	})
}

// FuzzDatagram holds that no datagram makes the readers of news and nexthop
// objects panic or go round for ever.
func FuzzDatagram(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(message{kind: unix.RTM_NEWROUTE, payload: s}.encode(nil, 1))
	}
	f.Add(message{kind: unix.NLMSG_ERROR, payload: []byte{255, 255, 255, 255}}.encode(nil, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := &watch{concerns: func(uint32, netip.Prefix) bool { return false }}
		w.matters(b)
		for head, payload := range messages(b) {
			_ = parseAck(head, payload)
			parseNexthop(payload)
		}
	})
}

func TestKernelsWordsAreFoundInShortAndLongErrors(t *testing.T) {
	code := binary.NativeEndian.AppendUint32(nil, ^uint32(unix.ENETUNREACH-1))
	words := appendAttribute(nil, unix.NLMSGERR_ATTR_MSG, []byte("Nexthop has invalid gateway\x00"))
	request := message{kind: unix.RTM_NEWROUTE, payload: make([]byte, 37)}.encode(nil, 1)
	for _, test := range []struct {
		name  string
		flags uint16
		body  []byte
		want  string
	}{
		{"short", unix.NLM_F_CAPPED | unix.NLM_F_ACK_TLVS, append(request[:16:16], words...), "Nexthop has invalid gateway (network is unreachable)"},
		{"long", unix.NLM_F_ACK_TLVS, append(request[:len(request):len(request)], words...), "Nexthop has invalid gateway (network is unreachable)"},
		{"without words", 0, request, "network is unreachable"},
		{"cut off", unix.NLM_F_ACK_TLVS, request[:9], "network is unreachable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			head := unix.NlMsghdr{Type: unix.NLMSG_ERROR, Flags: test.flags}
			err := parseAck(head, append(code[:4:4], test.body...))
			if err == nil || err.Error() != test.want || !errors.Is(err, unix.ENETUNREACH) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestLackOfRightsIsExplained(t *testing.T) {
	c := steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.11")}
	err := explain(c, &refusal{errno: unix.EPERM})
	if !strings.Contains(err.Error(), "needs CAP_NET_ADMIN") || !errors.Is(err, unix.EPERM) {
		t.Error(err)
	}
}
