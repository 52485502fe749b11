package linux

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/steer"
)

// paths finds the interfaces towards next hops: unlike a route, a nexthop
// object has to name one. It asks the kernel once for each, and is thrown away
// after one call of the driver.
type paths struct {
	requests *socket
	unfit    map[netip.Addr]bool // of which the kernel has refused an object
	known    map[netip.Addr]uint32
}

func (d *Driver) newPaths() *paths {
	return &paths{requests: d.requests, unfit: d.unfit, known: map[netip.Addr]uint32{}}
}

// lead reports whether nexthop objects can be made for all of the next hops.
// Where not, plain routes have to do, and the kernel judges them.
func (p *paths) lead(hops []steer.NextHop) bool {
	for _, h := range hops {
		if p.towards(h.Address) == 0 {
			return false
		}
	}
	return true
}

// towards returns the index of the interface on whose network the address is,
// 0 if it is on none or that cannot be told.
func (p *paths) towards(a netip.Addr) uint32 {
	if p.unfit[a] || a.IsLinkLocalUnicast() {
		return 0
	}
	index, known := p.known[a]
	if !known {
		index = p.ask(a)
		p.known[a] = index
	}
	return index
}

// ask takes every failure for "cannot be told".
func (p *paths) ask(a netip.Addr) (index uint32) {
	_ = p.requests.ask(lookupRoute(a), func(kind uint16, payload []byte) {
		if kind != unix.RTM_NEWROUTE || len(payload) < unix.SizeofRtMsg || payload[7] != unix.RTN_UNICAST {
			return
		}
		var h hop
		for kind, value := range attributes(payload[unix.SizeofRtMsg:]) {
			h.read(payload[0], kind, value)
		}
		if !h.gateway.IsValid() {
			index = h.iface
		}
	})
	return index
}
