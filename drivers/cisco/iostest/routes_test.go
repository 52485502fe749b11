package iostest_test

import "net/netip"

var own = []netip.Addr{netip.MustParseAddr("10.0.0.254")}
