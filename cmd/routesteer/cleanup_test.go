package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/internal/netns"
	"github.com/routesteer/routesteer/internal/netns/netnstest"
)

// command runs this program in a network namespace, as an operator would, and
// returns what it prints and its exit code.
func command(t *testing.T, ns *netns.Namespace, words ...string) (string, int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Args = append([]string{"routesteer"}, words...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=@routesteer-test-%d", lockVariable, os.Getpid()), "GORACE=atexit_sleep_ms=0")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // its exit code counts
	return out.String(), cmd.ProcessState.ExitCode()
}

// machine is a network namespace with a LAN. Its links get no address by
// themselves, which would come when it pleases.
func machine(t *testing.T) *netns.Namespace {
	t.Helper()
	ns := netnstest.New(t, "machine")
	shell(t, ns, "sysctl -qw net.ipv6.conf.default.addr_gen_mode=1; ip link add lan0 type veth peer name lan1; ip link set lan0 up; ip link set lan1 up; ip addr add 192.0.2.1/24 dev lan0")
	return ns
}

func shell(t *testing.T, ns *netns.Namespace, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, &out)
	}
	return out.String()
}

func TestCleanupRemovesWhatAControllerLeft(t *testing.T) {
	ns := machine(t)
	shell(t, ns, `
		ip rule add fwmark 0x52530000 lookup 52000 priority 5200 protocol 82
		ip route add unreachable default table 52000 metric 200 protocol 82
		ip route add 203.0.113.32/27 via 192.0.2.11 protocol 82`)
	for _, c := range []struct{ args, want string }{
		{"cleanup --dry-run", "would remove ip -4 rule 5200: fwmark 0x52530000 lookup 52000\nwould remove ip -4 route unreachable 0.0.0.0/0 table 52000\n1 route of VIPs stay; --routes removes them\n"},
		{"cleanup", "removed ip -4 rule 5200: fwmark 0x52530000 lookup 52000\nremoved ip -4 route unreachable 0.0.0.0/0 table 52000\n1 route of VIPs stay; --routes removes them\n"},
		{"cleanup", "nothing to remove\n1 route of VIPs stay; --routes removes them\n"},
		{"cleanup --routes", "removed ip -4 route 203.0.113.32/27 via 192.0.2.11 table 254\n"},
		{"cleanup --routes", "nothing to remove\n"},
	} {
		got, code := command(t, ns, strings.Fields(c.args)...)
		if got != c.want || code != 0 {
			t.Errorf("%s: exit code %d\n%swant\n%s", c.args, code, got, c.want)
		}
	}
	got, code := command(t, ns, "cleanup", "-o", "json")
	var answer cleaned
	if err := json.Unmarshal([]byte(got), &answer); err != nil || code != 0 || answer.Removed == nil {
		t.Errorf("as JSON: exit code %d, %v\n%s", code, err, got)
	}
}

func TestCleanupSaysWhatRightItLacks(t *testing.T) {
	ns := machine(t)
	shell(t, ns, "ip rule add fwmark 0x52530000 lookup 52000 priority 5200 protocol 82")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := t.TempDir() + "/routesteer"
	if err := os.Symlink(exe, link); err != nil {
		t.Fatal(err)
	}
	t.Setenv(lockVariable, fmt.Sprintf("@routesteer-test-%d", os.Getpid()))
	got := shell(t, ns, "setpriv --bounding-set -net_admin --inh-caps -net_admin "+link+" cleanup || echo exit $?")
	if !strings.Contains(got, "remove rule ip -4 rule 5200") || !strings.Contains(got, "it needs CAP_NET_ADMIN: run as root") || !strings.Contains(got, "exit 1") {
		t.Errorf("got\n%s", got)
	}
}
