package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/netns"
	"github.com/routesteer/routesteer/internal/netns/netnstest"
)

// behind puts a server behind a link of its own.
func behind(t *testing.T, router *netns.Namespace, name, network, loopback string) {
	t.Helper()
	ns := netnstest.New(t, name)
	shell(t, router, fmt.Sprintf("ip link add %[1]s type veth peer name eth0 netns /proc/%[2]d/fd/%[3]d; ip link set %[1]s up; ip addr add %[4]s.1/24 dev %[1]s",
		name, os.Getpid(), ns.Fd(), network))
	shell(t, ns, fmt.Sprintf("ip link set lo up; ip link set eth0 up; ip addr add %[1]s.11/24 dev eth0; ip route add default via %[1]s.1; %s", network, loopback))
}

func TestCheckNeedsNoControllerAndLeavesNothing(t *testing.T) {
	ns := machine(t)
	behind(t, ns, "web1", "198.51.100", "ip addr add 203.0.113.33/32 dev lo")
	behind(t, ns, "web2", "198.18.0", "true")
	file := filepath.Join(t.TempDir(), "site.yaml")
	text := `
servers: {web1: 198.51.100.11, web2: 198.18.0.11}
checks: {default: {icmp: {}}}
vips: [203.0.113.32/27]
routers: {edge: {linux: {}}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	before := shell(t, ns, "ip rule; ip route show table all; nft list ruleset")
	got, code := command(t, ns, "check", "-c", file)
	want := "SERVER  203.0.113.32/27\nweb1    ok\nweb2    FAILED 1\n" +
		"FAILED 1: timeout after 500ms (waiting for the echo reply): it answers at its own address: no loopback alias?\n" +
		"routesteer: 1 of 2 checks failed\n"
	if got != want || code != 1 {
		t.Errorf("exit code %d\n%swant\n%s", code, got, want)
	}
	if after := shell(t, ns, "ip rule; ip route show table all; nft list ruleset"); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	got, code = command(t, ns, "check", "web1", "-c", file, "-o", "json")
	var results []api.CheckResult
	if err := json.Unmarshal([]byte(got), &results); err != nil || code != 0 || len(results) != 1 || !results[0].OK {
		t.Errorf("web1 as JSON: exit code %d, %v\n%s", code, err, got)
	}
	if got, code = command(t, ns, "check", "wbe1", "-c", file); code != 1 || !strings.Contains(got, "did you mean web1") {
		t.Errorf("an unknown server: exit code %d\n%s", code, got)
	}
}

func TestCheckAloneIsRefusedBesideAController(t *testing.T) {
	ns := machine(t)
	lock := fmt.Sprintf("@routesteer-test-%d", os.Getpid())
	err := ns.Do(func() error {
		held, err := lockNamespace(lock)
		if err == nil {
			t.Cleanup(func() { _ = held.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, code := command(t, ns, "check", "-c", "../../routesteer.example.yaml"); code != 1 || !strings.Contains(got, "leave out --config") {
		t.Errorf("exit code %d\n%s", code, got)
	}
}
