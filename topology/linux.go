package topology

import (
	"fmt"
	"math"
)

// Routing tables that the kernel names: include/uapi/linux/rtnetlink.h.
const (
	tableDefault = 253
	tableMain    = 254
	tableLocal   = 255
)

// maxUint32 bounds the kernel's 32-bit numbers, as far as an int holds them.
const maxUint32 = min(math.MaxInt, math.MaxUint32)

// maxFlows bounds flow_limit: ten million take 2 GB of the kernel's memory.
const maxFlows = 10_000_000

// readLinux reads the linux driver: nothing, or a mapping.
func readLinux(c cursor) (*Linux, bool) {
	linux := defaultLinux()
	if c.isNull() {
		return linux, true
	}
	f, ok := c.fields(linuxObject, "a mapping with table, metric, protocol, adopt, or {}")
	if !ok {
		return nil, false
	}
	ok = set(f, "table", &linux.Table, readTable)
	ok = setInt(f, "metric", &linux.Metric, 0, maxUint32) && ok
	ok = set(f, "protocol", &linux.Protocol, readProtocol) && ok
	ok = setBool(f, "adopt", &linux.Adopt) && ok
	ok = setBool(f, "resilient", &linux.Resilient) && ok
	ok = setInt(f, "flow_limit", &linux.FlowLimit, 0, maxFlows) && ok
	return linux, ok
}

// readTable reads the number of a routing table, or one of the kernel's words.
func readTable(c cursor) (int, bool) {
	switch c.node.Value {
	case "main":
		return tableMain, true
	case "default":
		return tableDefault, true
	case "local", fmt.Sprint(tableLocal):
		c.problem("table local belongs to the kernel: packets for its routes are not forwarded")
		return 0, false
	}
	n, ok := c.integer(1, maxUint32)
	if ok && FlowTable <= n && n < FlowTable+FlowPaths {
		c.problem("tables %d to %d are those that routesteer needs while it moves connections: choose another", FlowTable, FlowTable+FlowPaths-1)
		return 0, false
	}
	return int(n), ok
}

// readProtocol reads a route protocol number that is nobody else's.
func readProtocol(c cursor) (uint8, bool) {
	n, ok := c.integer(1, 255)
	if !ok {
		return 0, false
	}
	protocol := uint8(n)
	if owner := protocolOwner(protocol); owner != "" {
		c.problem("route protocol %d belongs to %s, which would take our routes for its own; leave the default %d, or choose another",
			protocol, owner, defaultLinux().Protocol)
		return 0, false
	}
	return protocol, true
}

// protocolOwner names who marks routes with a protocol number: iproute2's
// rt_protos, the kernel's rtnetlink.h and FRR's zebra/rt_netlink.h.
func protocolOwner(protocol uint8) string {
	switch protocol {
	case 1:
		return "redirect"
	case 2:
		return "kernel"
	case 3:
		return "boot"
	case 4:
		return "static"
	case 8:
		return "gated"
	case 9:
		return "ra"
	case 10:
		return "mrt"
	case 11:
		return "zebra"
	case 12:
		return "bird"
	case 13:
		return "dnrouted"
	case 14:
		return "xorp"
	case 15:
		return "ntk"
	case 16:
		return "dhcp"
	case 17:
		return "mrouted"
	case 18:
		return "keepalived"
	case 42:
		return "babel"
	case 84:
		return "ovn"
	case 99:
		return "openr"
	case 186:
		return "bgp"
	case 187:
		return "isis"
	case 188:
		return "ospf"
	case 189:
		return "rip"
	case 190:
		return "ripng"
	case 191:
		return "nhrp"
	case 192:
		return "eigrp"
	case 193, 194, 195, 196, 197, 198:
		return "frr"
	case 111, 112:
		return "another daemon"
	}
	if protocol <= 20 {
		return "the kernel" // it keeps the low numbers for itself and its friends
	}
	return ""
}
