package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheKernelTakesTheFirstRoutes runs what is printed for a Linux router, and
// asks the kernel.
func TestTheKernelTakesTheFirstRoutes(t *testing.T) {
	ns := machine(t)
	shell(t, ns, "ip addr add 2001:db8:2::1/64 dev lan0 nodad")
	file := filepath.Join(t.TempDir(), "site.yaml")
	text := `
servers: {web1: {addresses: [192.0.2.11, "2001:db8:2::11"]}, web2: {address: 192.0.2.12, weight: 2}}
vips:
  - {prefix: 203.0.113.32/27, primary: web1}
  - {prefix: 203.0.113.96, primary: [web1, web2], mode: ecmp}
  - "2001:db8:100::80"
routers: {edge: {linux: {metric: 7}}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	commands, code := command(t, ns, "router", "config", "-c", file)
	if code != 0 {
		t.Fatal(commands)
	}
	shell(t, ns, commands)
	got := strings.Join(strings.Fields(shell(t, ns, "ip route show proto 82; ip -6 route show proto 82")), " ")
	want := "203.0.113.32/27 via 192.0.2.11 dev lan0 metric 7 203.0.113.96 metric 7 nexthop via 192.0.2.11 dev lan0 weight 1 nexthop via 192.0.2.12 dev lan0 weight 2 " +
		"2001:db8:100::80 via 2001:db8:2::11 dev lan0 metric 7 pref medium"
	if got != want {
		t.Errorf("the kernel has\n%s\nwant\n%s", got, want)
	}
}
