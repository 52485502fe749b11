package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDoctorFindsWhatIsWrongWithAMachineAndChangesNothing(t *testing.T) {
	ns := machine(t)
	shell(t, ns, "ip link add lan2 type veth peer name lan3; ip link set lan2 up; ip link set lan3 up; ip addr add 198.51.100.1/24 dev lan2")
	file := filepath.Join(t.TempDir(), "site.yaml")
	text := `
servers: {web1: 192.0.2.11, web2: 198.51.100.12}
vips: [{prefix: 203.0.113.32/27, mode: ecmp}]
routers: {edge: {linux: {}}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	shell(t, ns, "ip rule add priority 100 iif lan0 lookup 100; ip rule add priority 101 lookup 100 suppress_prefixlength 0; ip route add default via 192.0.2.99 table 100; ip -6 rule add priority 5200 fwmark 0x52530000 lookup 99; "+
		"ip route add 203.0.113.40/32 via 192.0.2.99 proto static")
	keys := "net.ipv4.ip_forward net.ipv4.conf.all.rp_filter net.ipv4.conf.lan0.rp_filter net.ipv4.conf.lan2.rp_filter net.ipv4.fib_multipath_hash_policy"
	shell(t, ns, "sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.lan0.rp_filter=1 net.ipv4.conf.lan2.rp_filter=2 net.ipv4.fib_multipath_hash_policy=0")
	before := shell(t, ns, "sysctl "+keys+"; nft list ruleset; ip rule; ip route show table all")
	got, code := command(t, ns, "doctor", "-c", file, "-o", "json")
	var d diagnosis
	if err := json.Unmarshal([]byte(got), &d); err != nil || code != 1 || d.OK {
		t.Fatalf("exit code %d, %v\n%s", code, err, got)
	}
	if after := shell(t, ns, "sysctl "+keys+"; nft list ruleset; ip rule; ip route show table all"); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	var mends []string
	for _, check := range d.Checks {
		if !check.OK {
			mends = append(mends, check.Mend)
		}
	}
	want := "sysctl -w net.ipv4.ip_forward=1\nsysctl -w net.ipv4.conf.lan0.rp_filter=2\nsysctl -w net.ipv4.fib_multipath_hash_policy=1\n" +
		"ip -4 route del 203.0.113.40/32 table 254 proto 4\n" +
		"ip -4 route replace throw 203.0.113.32/27 table 100\n" +
		"ip -6 rule del priority 5200 fwmark 0x52530000/0xffffffff lookup 99"
	if got := strings.Join(mends, "\n"); got != want {
		t.Fatalf("mends\n%s\nwant\n%s", got, want)
	}
	// The mends mend.
	shell(t, ns, strings.Join(mends, "\n"))
	if got, code := command(t, ns, "doctor", "-c", file); code != 0 || strings.Contains(got, "BAD") {
		t.Errorf("after all mends: exit code %d\n%s", code, got)
	}
}
