package doctor_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/internal/doctor"
	"github.com/routesteer/routesteer/topology"
)

// edge is a site with the VIPs of site, two server addresses and a Linux router.
func edge() *topology.Site {
	s := site(0)
	s.Servers = []topology.Server{{Name: "web1", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("2001:db8:2::11")}}}
	s.Paths = topology.Paths{Mark: 0x52530000, Table: 52000, Priority: 5200}
	s.Routers = []topology.Router{{Name: "edge", Linux: &topology.Linux{Table: 254, Protocol: 82}}}
	return s
}

// own is what a kernel has anyway, and routesteer makes.
func own() doctor.Snapshot {
	s := well()
	for _, v4 := range []bool{true, false} {
		s.Rules = append(s.Rules,
			doctor.Rule{V4: v4, Priority: 0, Action: doctor.Lookup, Table: 255, Protocol: 2},
			doctor.Rule{V4: v4, Priority: 5099, In: "lo", Mark: 0x5253f000, Mask: 0xffffffff, Action: doctor.Pass, Protocol: 82},
			doctor.Rule{V4: v4, Priority: 5100, Mark: 0x5253f000, Mask: 0xffffffff, Action: doctor.Lookup, Table: 51000, Protocol: 82},
			doctor.Rule{V4: v4, Priority: 5200, Mark: 0x52530000, Mask: 0xffffffff, Action: doctor.Lookup, Table: 52000, Protocol: 82},
			doctor.Rule{V4: v4, Priority: 32766, Action: doctor.Lookup, Table: 254, Protocol: 2},
			doctor.Rule{V4: v4, Priority: 32767, Action: doctor.Lookup, Table: 253, Protocol: 2})
	}
	s.Routes = []doctor.Route{
		route("0.0.0.0/0", 254, 4), route("0.0.0.0/0", 52000, 82), route("0.0.0.0/0", 51000, 82), route("203.0.113.32/27", 254, 82),
	}
	return s
}

func route(prefix string, table int, protocol uint8) doctor.Route {
	return doctor.Route{Prefix: netip.MustParsePrefix(prefix), Table: table, Protocol: protocol}
}

func TestOthersInTheWay(t *testing.T) {
	prefix := netip.MustParsePrefix
	throw := route("203.0.113.32/27", 100, 3)
	throw.Throw = true
	lookup100 := doctor.Rule{V4: true, Priority: 1000, In: "lan0", Action: doctor.Lookup, Table: 100}
	with := func(r doctor.Rule, change func(*doctor.Rule)) doctor.Rule { change(&r); return r }
	const free = "; ip -4 route replace throw 203.0.113.64/27 table 100"
	for _, c := range []struct {
		name   string
		rules  []doctor.Rule
		routes []doctor.Route
		want   string // what is to be done
	}{
		{"nothing", nil, nil, ""},
		{"a rule by interface, to a table with a default route", []doctor.Rule{lookup100}, []doctor.Route{route("0.0.0.0/0", 100, 4)},
			"policy rules: ip -4 route replace throw 203.0.113.32/27 table 100" + free},
		{"the same, mended for one of two", []doctor.Rule{lookup100}, []doctor.Route{route("0.0.0.0/0", 100, 4), throw},
			"policy rules: ip -4 route replace throw 203.0.113.64/27 table 100"},
		{"to a table without a route for VIPs", []doctor.Rule{lookup100}, []doctor.Route{route("198.51.100.0/24", 100, 4)}, ""},
		{"to a table with a route for a part of a VIP", []doctor.Rule{lookup100}, []doctor.Route{route("203.0.113.40/32", 100, 4)},
			"policy rules: ip -4 route replace throw 203.0.113.32/27 table 100"},
		{"that does not count the default route", []doctor.Rule{with(lookup100, func(r *doctor.Rule) { r.Longer = 1 })}, []doctor.Route{route("0.0.0.0/0", 100, 4)}, ""},
		{"for other destinations", []doctor.Rule{with(lookup100, func(r *doctor.Rule) { r.To = prefix("198.51.100.0/24") })},
			[]doctor.Route{route("0.0.0.0/0", 100, 4)}, ""},
		{"for all but others", []doctor.Rule{with(lookup100, func(r *doctor.Rule) { r.To, r.Not = prefix("203.0.113.0/24"), true })},
			[]doctor.Route{route("0.0.0.0/0", 100, 4)}, "policy rules: ip -4 route replace throw 203.0.113.32/27 table 100" + free},
		{"after main", []doctor.Rule{with(lookup100, func(r *doctor.Rule) { r.Priority = 32800 })}, []doctor.Route{route("0.0.0.0/0", 100, 4)}, ""},
		{"to main", []doctor.Rule{with(lookup100, func(r *doctor.Rule) { r.Table = 254 })}, nil, ""},
		{"of the other family", []doctor.Rule{with(lookup100, func(r *doctor.Rule) { r.V4 = false })}, []doctor.Route{route("0.0.0.0/0", 100, 4)}, ""},
		{"a blackhole", []doctor.Rule{{V4: true, Priority: 100, To: prefix("203.0.113.33/32"), Action: doctor.Drop}}, nil,
			"policy rules: ip -4 rule del priority 100 to 203.0.113.33/32"},
		{"our priority", []doctor.Rule{{V4: true, Priority: 5201, To: prefix("198.51.100.0/24"), Action: doctor.Lookup, Table: 100}}, nil,
			"marks, rules and tables: ip -4 rule del priority 5201 to 198.51.100.0/24 lookup 100"},
		{"our marks", []doctor.Rule{{V4: true, Priority: 100, Mark: 0x52530000, Mask: 0xffff0000, Action: doctor.Lookup, Table: 100}}, nil,
			"marks, rules and tables: ip -4 rule del priority 100 fwmark 0x52530000/0xffff0000 lookup 100"},
		{"marks of its own", []doctor.Rule{{V4: true, Priority: 100, Mark: 7, Mask: 0xffffffff, Action: doctor.Lookup, Table: 100}}, nil, ""},
		{"our tables", nil, []doctor.Route{route("0.0.0.0/0", 52001, 4), route("0.0.0.0/0", 51999, 4), route("0.0.0.0/0", 52002, 4)},
			"marks, rules and tables: ip -4 route del 0.0.0.0/0 table 52001 proto 4; ip -4 route del 0.0.0.0/0 table 51999 proto 4"},
		{"a route for a VIP", nil, []doctor.Route{route("203.0.113.64/27", 254, 12)}, "routes of other programs: ip -4 route del 203.0.113.64/27 table 254 proto 12"},
		{"a route for a part of one", nil, []doctor.Route{route("2001:db8:0:0:1::/96", 254, 186)}, "routes of other programs: ip -6 route del 2001:db8:0:0:1::/96 table 254 proto 186"},
		{"a route for more than VIPs", nil, []doctor.Route{route("203.0.113.0/24", 254, 186)}, ""},
		{"a route in another table", nil, []doctor.Route{route("203.0.113.64/27", 100, 12)}, ""},
	} {
		machine := own()
		machine.Rules = append(machine.Rules, c.rules...)
		machine.Routes = append(machine.Routes, c.routes...)
		var mends []string
		for _, check := range doctor.Judge(edge(), machine) {
			if !check.OK {
				mends = append(mends, check.Name+": "+check.Mend)
			}
		}
		if got := strings.Join(mends, "\n"); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestARouteThatMayBeAdoptedIsInNobodysWay(t *testing.T) {
	s, machine := edge(), own()
	s.Routers[0].Linux.Adopt = true
	machine.Routes = append(machine.Routes, route("203.0.113.64/27", 254, 12), route("203.0.113.65/32", 254, 12))
	for _, check := range doctor.Judge(s, machine) {
		if want := "ip -4 route del 203.0.113.65/32 table 254 proto 12"; !check.OK && check.Mend != want {
			t.Errorf("%s: %s, want %s", check.Name, check.Mend, want)
		}
	}
}
