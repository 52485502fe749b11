package linux

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// A nexthop is a nexthop object (ip-nexthop(8)): a single next hop, or a
// group of them.
type nexthop struct {
	id      uint32
	hop     hop
	reject  bool // blackhole
	members []member
}

// A member is one nexthop object of a group.
type member struct {
	id     uint32
	weight int
}

// resolveObjects fills in the next hops of routes that point at nexthop
// objects. The kernel spells those out in the route itself only with the
// sysctl net.ipv4.nexthop_compat_mode=1.
func (d *Driver) resolveObjects(have map[netip.Prefix][]entry) error {
	var objects map[uint32]nexthop
	reset := func() { objects = map[uint32]nexthop{} }
	err := d.requests.dump(dumpNexthops(), unix.RTM_NEWNEXTHOP, reset, func(payload []byte) error {
		if n, ok := parseNexthop(payload); ok {
			objects[n.id] = n
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, entries := range have {
		for i, e := range entries {
			if e.nexthopID != 0 {
				entries[i].resolve(objects)
			}
		}
	}
	return nil
}

// resolve leaves the entry as the kernel showed it when its object has gone
// since.
func (e *entry) resolve(objects map[uint32]nexthop) {
	object, ok := objects[e.nexthopID]
	switch {
	case !ok:
	case object.reject:
		e.kind, e.hops = unix.RTN_BLACKHOLE, nil
	case object.members == nil:
		e.hops = []hop{object.hop}
	default:
		e.hops = nil
		for _, m := range object.members {
			h := objects[m.id].hop
			h.weight = m.weight
			e.hops = append(e.hops, h)
		}
	}
}

// parseNexthop reads the payload of an RTM_NEWNEXTHOP: struct nhmsg (family,
// scope, protocol, reserved, 32 bits of flags) and attributes.
func parseNexthop(b []byte) (nexthop, bool) {
	if len(b) < 8 {
		return nexthop{}, false
	}
	n := nexthop{hop: hop{weight: 1, flags: b[4]}}
	for kind, value := range attributes(b[8:]) {
		switch kind {
		case nhaID:
			n.id = number(value)
		case nhaGroup:
			n.members = parseMembers(value)
		case nhaBlackhole:
			n.reject = true
		case nhaOIF:
			n.hop.iface = number(value)
		case nhaGateway:
			n.hop.gateway = address(b[0], value)
		}
	}
	return n, n.id != 0
}

// parseMembers reads an array of struct nexthop_grp: the id, the weight less
// one, and its high byte in newer kernels.
func parseMembers(b []byte) []member {
	members := []member{}
	for ; len(b) >= 8; b = b[8:] {
		weight := int(b[4]) | int(b[5])<<8
		members = append(members, member{id: binary.NativeEndian.Uint32(b), weight: weight + 1})
	}
	return members
}
