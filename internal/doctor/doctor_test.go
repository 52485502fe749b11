package doctor_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/internal/doctor"
	"github.com/routesteer/routesteer/topology"
)

// site has VIPs of both families, one of each in ecmp mode.
func site(more int) *topology.Site {
	s := &topology.Site{}
	for i, prefix := range []string{"203.0.113.32/27", "203.0.113.64/27", "2001:db8::/64", "2001:db8:1::/64"} {
		s.VIPs = append(s.VIPs, topology.VIP{Prefix: netip.MustParsePrefix(prefix), Mode: []topology.Mode{topology.Single, topology.ECMP}[i%2]})
	}
	for i := range more {
		s.VIPs = append(s.VIPs, topology.VIP{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32), Mode: topology.Single})
	}
	return s
}

// well is a machine on which nothing is wrong.
func well() doctor.Snapshot {
	return doctor.Snapshot{
		Rights: []string{"CAP_NET_ADMIN", "CAP_NET_RAW"},
		Sysctls: map[string]string{
			"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1",
			"net.ipv4.fib_multipath_hash_policy": "1", "net.ipv6.fib_multipath_hash_policy": "1",
			"net.ipv4.nexthop_compat_mode": "1", "net.ipv4.conf.all.rp_filter": "0",
			"net.ipv4.conf.lan0.rp_filter": "0", "net.ipv4.conf.lan1.rp_filter": "0",
		},
		Links: map[netip.Addr]string{netip.MustParseAddr("192.0.2.11"): "lan0", netip.MustParseAddr("198.51.100.11"): "lan1"},
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*doctor.Snapshot)
		more  int
		want  string // the checks that fail, and their mends
	}{
		{"all is well", func(*doctor.Snapshot) {}, 0, ""},
		{"no rights", func(s *doctor.Snapshot) { s.Rights = nil }, 0, `rights: run as root, or: setcap cap_net_admin,cap_net_raw+ep "$(command -v routesteer)"`},
		{"no forwarding", func(s *doctor.Snapshot) {
			s.Sysctls["net.ipv4.ip_forward"] = "0"
			delete(s.Sysctls, "net.ipv6.conf.all.forwarding")
		}, 0, "forwarding of IPv4: sysctl -w net.ipv4.ip_forward=1\nforwarding of IPv6: sysctl -w net.ipv6.conf.all.forwarding=1"},
		{"strict filter", func(s *doctor.Snapshot) { s.Sysctls["net.ipv4.conf.lan1.rp_filter"] = "1" }, 0, "reverse path filter: sysctl -w net.ipv4.conf.lan1.rp_filter=2"},
		{"strict filter of all", func(s *doctor.Snapshot) { s.Sysctls["net.ipv4.conf.all.rp_filter"] = "1" }, 0,
			"reverse path filter: sysctl -w net.ipv4.conf.lan0.rp_filter=2 net.ipv4.conf.lan1.rp_filter=2"},
		{"loose wins over strict", func(s *doctor.Snapshot) {
			s.Sysctls["net.ipv4.conf.all.rp_filter"] = "1"
			s.Sysctls["net.ipv4.conf.lan0.rp_filter"], s.Sysctls["net.ipv4.conf.lan1.rp_filter"] = "2", "2"
		}, 0, ""},
		{"strict filter, one interface", func(s *doctor.Snapshot) {
			s.Sysctls["net.ipv4.conf.all.rp_filter"] = "1"
			delete(s.Links, netip.MustParseAddr("198.51.100.11"))
		}, 0, ""},
		{"hashing by addresses", func(s *doctor.Snapshot) {
			s.Sysctls["net.ipv4.fib_multipath_hash_policy"], s.Sysctls["net.ipv6.fib_multipath_hash_policy"] = "0", "0"
		}, 0, "multipath hashing of IPv4: sysctl -w net.ipv4.fib_multipath_hash_policy=1\nmultipath hashing of IPv6: sysctl -w net.ipv6.fib_multipath_hash_policy=1"},
		{"many prefixes", func(*doctor.Snapshot) {}, 1000, "nexthop notifications: sysctl -w net.ipv4.nexthop_compat_mode=0"},
		{"many prefixes, no notifications", func(s *doctor.Snapshot) { s.Sysctls["net.ipv4.nexthop_compat_mode"] = "0" }, 1000, ""},
		{"many prefixes, an old kernel", func(s *doctor.Snapshot) { delete(s.Sysctls, "net.ipv4.nexthop_compat_mode") }, 1000, ""},
		{"no nftables", func(s *doctor.Snapshot) { s.Nftables = errors.New("protocol not supported") }, 0, "nftables: modprobe nf_tables"},
	} {
		t.Run(c.name, func(t *testing.T) {
			machine := well()
			c.spoil(&machine)
			var bad []string
			for _, check := range doctor.Judge(site(c.more), machine) {
				if check.OK != (check.What == "" && check.Why == "" && check.Mend == "") {
					t.Errorf("half said: %+v", check)
				}
				if !check.OK {
					bad = append(bad, fmt.Sprintf("%s: %s", check.Name, check.Mend))
				}
			}
			if got := strings.Join(bad, "\n"); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestWhatTheSiteDoesNotNeedIsNotChecked(t *testing.T) {
	s := site(0)
	s.VIPs = s.VIPs[:1] // IPv4, in single mode
	var names []string
	for _, check := range doctor.Judge(s, well()) {
		names = append(names, check.Name)
	}
	want := []string{"rights", "forwarding of IPv4", "reverse path filter", "nexthop notifications", "nftables",
		"routes of other programs", "policy rules", "marks, rules and tables", "systemd-networkd", "NetworkManager"}
	if !slices.Equal(names, want) {
		t.Errorf("checks %q, want %q", names, want)
	}
}
