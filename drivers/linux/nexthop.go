package linux

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/steer"
)

// The ids of our nexthop objects. An object in the range that does not carry
// our protocol number is somebody else's all the same.
const (
	firstObject = 0x52530000
	lastObject  = 0x5253ffff
)

// A resilient group has so many buckets, 32 bytes each in the kernel, which
// cannot be changed later. A bucket that had no packet for idleTimer moves to
// a member that has come (back); after unbalancedTimer the busy ones follow.
const (
	buckets         = 1024
	idleTimer       = 30 * 100  // in hundredths of a second, as the kernel counts here
	unbalancedTimer = 600 * 100 // the same
)

// A nexthop is a nexthop object (ip-nexthop(8)): a single next hop, or a
// group of them.
type nexthop struct {
	id        uint32
	protocol  uint8
	hop       hop
	reject    bool // blackhole
	resilient bool // a group of that type
	members   []member
}

// A member is one nexthop object of a group.
type member struct {
	id     uint32
	weight int
}

// objects are nexthop objects by id.
type objects map[uint32]nexthop

// dumpObjects reads all nexthop objects. A kernel without them has none.
func (s *socket) dumpObjects() (objects, error) {
	var all objects
	reset := func() { all = objects{} }
	err := s.dump(dumpNexthops(), unix.RTM_NEWNEXTHOP, reset, func(payload []byte) error {
		if n, ok := parseNexthop(payload); ok {
			all[n.id] = n
		}
		return nil
	})
	if isAny(err, unix.EOPNOTSUPP, unix.EINVAL) {
		return objects{}, nil
	}
	return all, err
}

// resolve is the next hops of a route that points at the object. known is
// false when it has gone.
func (o objects) resolve(id uint32) (hops []hop, reject, known bool) {
	object, known := o[id]
	switch {
	case !known, object.reject:
		return nil, object.reject, known
	case object.members == nil:
		return []hop{object.hop}, false, true
	}
	for _, m := range object.members {
		h := o[m.id].hop
		h.weight = m.weight
		hops = append(hops, h)
	}
	return hops, false, true
}

// isOurs reports whether an object is one that we made: of our range, and
// with our protocol number.
func (n nexthop) isOurs(protocol uint8) bool {
	return inRange(n.id) && n.protocol == protocol
}

func inRange(id uint32) bool { return id >= firstObject && id <= lastObject }

// usable reports whether the object is a group as we make them.
func (o objects) usable(id uint32, protocol uint8, resilient bool) bool {
	group := o[id]
	return group.isOurs(protocol) && len(group.members) > 0 && group.resilient == resilient &&
		!slices.ContainsFunc(group.members, func(m member) bool {
			single := o[m.id]
			return !single.isOurs(protocol) || single.hop.unusual()
		})
}

// singles finds our objects for one next hop each, by its address.
func (o objects) singles(protocol uint8) map[netip.Addr][]uint32 {
	found := map[netip.Addr][]uint32{}
	for id, n := range o {
		if n.isOurs(protocol) && n.members == nil && !n.hop.unusual() {
			found[n.hop.gateway] = append(found[n.hop.gateway], id)
		}
	}
	for _, ids := range found {
		slices.Sort(ids)
	}
	return found
}

// users finds the groups that objects are members of.
func (o objects) users() map[uint32][]uint32 {
	found := map[uint32][]uint32{}
	for id, n := range o {
		for _, m := range n.members {
			found[m.id] = append(found[m.id], id)
		}
	}
	return found
}

// parseNexthop reads the payload of an RTM_NEWNEXTHOP: struct nhmsg (family,
// scope, protocol, reserved, 32 bits of flags) and attributes.
func parseNexthop(b []byte) (nexthop, bool) {
	if len(b) < 8 {
		return nexthop{}, false
	}
	n := nexthop{protocol: b[2], hop: hop{weight: 1, flags: uint8(binary.NativeEndian.Uint32(b[4:]))}}
	for kind, value := range attributes(b[8:]) {
		switch kind {
		case unix.NHA_ID:
			n.id = number(value)
		case unix.NHA_GROUP:
			n.members = parseMembers(value)
		case unix.NHA_GROUP_TYPE:
			n.resilient = len(value) >= 2 && binary.NativeEndian.Uint16(value) == resilientType
		case unix.NHA_BLACKHOLE:
			n.reject = true
		case unix.NHA_OIF:
			n.hop.iface = number(value)
		case unix.NHA_GATEWAY:
			n.hop.gateway = address(b[0], value)
		case unix.NHA_ENCAP, unix.NHA_ENCAP_TYPE:
			n.hop.addition = true
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

// nexthopHeader is a struct nhmsg.
func nexthopHeader(family, protocol uint8) []byte {
	return []byte{family, 0, protocol, 0, 0, 0, 0, 0}
}

// dumpNexthops asks for all nexthop objects.
func dumpNexthops() message {
	return message{kind: unix.RTM_GETNEXTHOP, payload: nexthopHeader(unix.AF_UNSPEC, 0)}
}

// writeSingle makes the object of one next hop. flags are NLM_F_CREATE with
// NLM_F_EXCL, or NLM_F_REPLACE, which fails when there is none.
func writeSingle(n nexthop, flags uint16) message {
	b := nexthopHeader(familyOf(n.hop.gateway), n.protocol)
	b = appendUint32(b, unix.NHA_ID, n.id)
	b = appendUint32(b, unix.NHA_OIF, n.hop.iface)
	b = appendAttribute(b, unix.NHA_GATEWAY, n.hop.gateway.AsSlice())
	return message{kind: unix.RTM_NEWNEXTHOP, flags: flags, payload: b}
}

// writeGroup makes a group; flags as for writeSingle.
func writeGroup(n nexthop, flags uint16) message {
	ne := binary.NativeEndian
	b := nexthopHeader(unix.AF_UNSPEC, n.protocol)
	b = appendUint32(b, unix.NHA_ID, n.id)
	var list []byte
	for _, m := range n.members {
		list = ne.AppendUint32(list, m.id)
		list = append(list, uint8(m.weight-1), 0, 0, 0)
	}
	b = appendAttribute(b, unix.NHA_GROUP, list)
	if n.resilient {
		b = appendAttribute(b, unix.NHA_GROUP_TYPE, ne.AppendUint16(nil, resilientType))
		var table []byte
		if flags&unix.NLM_F_CREATE != 0 {
			table = appendAttribute(table, nhaResBuckets, ne.AppendUint16(nil, buckets))
		}
		table = appendUint32(table, nhaResIdleTimer, idleTimer)
		table = appendUint32(table, nhaResUnbalancedTimer, unbalancedTimer)
		b = appendAttribute(b, nhaResGroup|unix.NLA_F_NESTED, table)
	}
	return message{kind: unix.RTM_NEWNEXTHOP, flags: flags, payload: b}
}

// deleteNexthop removes an object, and with it, without a word, every route
// and group that uses it.
func deleteNexthop(id uint32) message {
	return message{kind: unix.RTM_DELNEXTHOP, payload: appendUint32(nexthopHeader(unix.AF_UNSPEC, 0), unix.NHA_ID, id)}
}

// nextHops are the gateways of hops, sorted as steer has them; a hop without
// one is left out.
func nextHops(hops []hop) []steer.NextHop {
	var out []steer.NextHop
	for _, h := range hops {
		if h.gateway.IsValid() {
			out = append(out, steer.NextHop{Address: h.gateway, Weight: h.weight})
		}
	}
	return normal(out)
}
