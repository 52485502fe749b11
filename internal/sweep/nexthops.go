package sweep

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The nexthop objects that are ours (drivers/linux) have ids in this range and
// our protocol number.
const firstObject, lastObject = 0x52530000, 0x5253ffff

// Where things are in struct nhmsg and its attributes; linux/nexthop.h. x/sys/unix
// lacks them.
const (
	nhmsgSize       = 8
	nhmsgProtocolAt = 2
	nhaID           = 1
	nhaGroup        = 2
	rtaNHID         = 30
)

// An object is a nexthop object, with the members if it is a group.
type object struct {
	id       uint32
	protocol uint8
	members  []uint32
}

// nexthops removes our nexthop objects that no route uses, groups before their
// members. To remove one that is used would remove the routes, without a word.
func (s *sweep) nexthops() error {
	objects, err := s.objects()
	if err != nil || !slices.ContainsFunc(objects, s.ownsObject) {
		return err
	}
	used, err := s.used()
	if err != nil {
		return err
	}
	for _, o := range objects {
		if used[o.id] || !s.ownsObject(o) {
			for _, member := range o.members {
				used[member] = true
			}
		}
	}
	slices.SortStableFunc(objects, func(a, b object) int { return min(1, len(b.members)) - min(1, len(a.members)) })
	var failed []error
	for _, o := range objects {
		if s.ownsObject(o) && !used[o.id] {
			failed = append(failed, s.remove("nexthop", fmt.Sprintf("ip nexthop id %d", o.id), func() error { return deleteObject(o.id) }))
		}
	}
	return errors.Join(failed...)
}

func (s *sweep) ownsObject(o object) bool {
	return o.id >= firstObject && o.id <= lastObject && s.isMark(o.protocol)
}

// objects lists all nexthop objects; a kernel before 5.3 has none.
func (s *sweep) objects() ([]object, error) {
	request := nl.NewNetlinkRequest(unix.RTM_GETNEXTHOP, unix.NLM_F_DUMP)
	request.AddData(payload(make([]byte, nhmsgSize)))
	var objects []object
	err := request.ExecuteIter(unix.NETLINK_ROUTE, unix.RTM_NEWNEXTHOP, func(m []byte) bool {
		if len(m) >= nhmsgSize {
			objects = append(objects, parseObject(m))
		}
		return true
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read nexthop objects: %w", err)
	}
	return objects, nil
}

func parseObject(m []byte) object {
	o := object{protocol: m[nhmsgProtocolAt]}
	each(m[nhmsgSize:], func(kind uint16, value []byte) {
		switch {
		case kind == nhaID && len(value) >= 4:
			o.id = binary.NativeEndian.Uint32(value)
		case kind == nhaGroup: // struct nexthop_grp: the id, and four bytes of weight
			for ; len(value) >= 8; value = value[8:] {
				o.members = append(o.members, binary.NativeEndian.Uint32(value))
			}
		}
	})
	return o
}

// used are the ids of the objects that routes use, anybody's, but for those that
// this sweep removes or would.
func (s *sweep) used() (map[uint32]bool, error) {
	used := map[uint32]bool{}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		request := nl.NewNetlinkRequest(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
		request.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(family)}})
		err := request.ExecuteIter(unix.NETLINK_ROUTE, unix.RTM_NEWROUTE, func(m []byte) bool {
			if id, stays := s.uses(m); id != 0 && stays {
				used[id] = true
			}
			return true
		})
		if err != nil {
			return nil, fmt.Errorf("read which routes use nexthop objects: %w", err)
		}
	}
	return used, nil
}

// uses reads the nexthop object of a route, and whether the route stays.
func (s *sweep) uses(m []byte) (id uint32, stays bool) {
	if len(m) < unix.SizeofRtMsg {
		return 0, false
	}
	table, protocol := int(m[4]), m[5] // struct rtmsg
	each(m[unix.SizeofRtMsg:], func(kind uint16, value []byte) {
		switch {
		case kind == unix.RTA_TABLE && len(value) >= 4:
			table = int(binary.NativeEndian.Uint32(value))
		case kind == rtaNHID && len(value) >= 4:
			id = binary.NativeEndian.Uint32(value)
		}
	})
	for _, router := range s.Routers {
		if s.Routes && router.Table == table && router.Protocol == protocol {
			return id, false
		}
	}
	return id, true
}

func deleteObject(id uint32) error {
	request := nl.NewNetlinkRequest(unix.RTM_DELNEXTHOP, unix.NLM_F_ACK)
	request.AddData(payload(make([]byte, nhmsgSize)))
	request.AddData(nl.NewRtAttr(nhaID, nl.Uint32Attr(id)))
	_, err := request.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// each calls f with the attributes of a message; it ends at the first that is
// malformed.
func each(b []byte, f func(kind uint16, value []byte)) {
	for len(b) >= unix.SizeofRtAttr {
		length := int(binary.NativeEndian.Uint16(b))
		if length < unix.SizeofRtAttr || length > len(b) {
			return
		}
		f(binary.NativeEndian.Uint16(b[2:])&0x3fff, b[unix.SizeofRtAttr:length])
		b = b[min((length+3)&^3, len(b)):]
	}
}

// A payload is the fixed part of a request.
type payload []byte

func (p payload) Len() int          { return len(p) }
func (p payload) Serialize() []byte { return p }
