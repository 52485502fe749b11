package sweep_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/routesteer/routesteer/internal/netns"
	"github.com/routesteer/routesteer/internal/netns/netnstest"
	"github.com/routesteer/routesteer/internal/sweep"
	"github.com/routesteer/routesteer/topology"
)

func TestMain(m *testing.M) {
	if err := netns.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// ours is what a killed controller leaves.
const ours = `
	ip rule add fwmark 0x52530000 lookup 52000 priority 5200 protocol 82
	ip -6 rule add fwmark 0x52530001 lookup 52001 priority 5201 protocol 82
	ip route add default via 192.0.2.11 table 52000 metric 100 protocol 82
	ip route add unreachable default table 52000 metric 200 protocol 82
	ip -6 route add default via fd00:2::11 table 52001 metric 100 protocol 82
	ip -6 route add unreachable default table 52001 metric 200 protocol 82
	ip route add unreachable default table 52077 metric 200 protocol 82
	ip rule add nop priority 5101 protocol 83
	ip rule add fwmark 0x5253f000 lookup 51000 priority 5100 protocol 83
	ip rule add iif lo fwmark 0x5253f000 goto 5101 priority 5099 protocol 83
	ip route add default via 192.0.2.11 table 51000 protocol 83
	nft 'add table ip routesteer; add map ip routesteer flows { type ipv4_addr : mark; }'
	nft 'add table ip6 routesteer; add map ip6 routesteer flows { type ipv6_addr : mark; }'
	ip nexthop add id 1381171200 via 192.0.2.11 dev lan0 protocol 83
	ip nexthop add id 1381171201 via 192.0.2.12 dev lan0 protocol 83
	ip nexthop add id 1381171202 via 192.0.2.13 dev lan0 protocol 83
	ip nexthop add id 1381171203 via 192.0.2.14 dev lan0 protocol 83
	ip nexthop add id 1381171210 group 1381171201/1381171202 protocol 83
	ip nexthop add id 1381171211 group 1381171203 protocol 83`

// routes are those of VIPs, which stay unless they are asked for.
const routes = `
	ip route add 203.0.113.32/27 via 192.0.2.11 table 100 protocol 83
	ip -6 route add 2001:db8:f::/64 via fd00:2::11 table 100 protocol 83
	ip route add 203.0.113.64/27 nhid 1381171210 table 100 protocol 83`

// others is what is somebody else's, as near to ours as can be.
const others = `
	ip rule add fwmark 0x52530005 lookup 52005 priority 5205
	ip rule add fwmark 0x7 lookup 7 priority 5206 protocol 82
	ip rule add lookup 52001 priority 9999 protocol 82
	ip route add 198.51.100.0/24 via 192.0.2.11 table 52000
	ip route add 198.51.100.0/24 via 192.0.2.11 table 7 protocol 83
	ip route add 203.0.113.32/27 via 192.0.2.12 table 100 metric 50
	nft 'add table inet routesteer; add map inet routesteer flows { type ipv4_addr : mark; }'
	nft 'add table ip other; add map ip other flows { type ipv4_addr : mark; }'
	ip nexthop add id 1381171205 via 192.0.2.15 dev lan0
	ip nexthop add id 82 via 192.0.2.15 dev lan0 protocol 83
	ip nexthop add id 83 group 1381171200 protocol 83`

// A machine is a namespace with a LAN.
type machine struct {
	t  *testing.T
	ns *netns.Namespace
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	ns := netnstest.New(t, "machine")
	m := &machine{t, ns}
	// Without addresses of their own accord, which would appear seconds later.
	m.sh(`ip link add lan0 type veth peer name lan1; ip link set lan0 addrgenmode none up; ip link set lan1 addrgenmode none up
		ip addr add 192.0.2.1/24 dev lan0; ip addr add fd00:2::1/64 dev lan0 nodad`)
	return m
}

func (m *machine) sh(script string) string {
	m.t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := m.ns.Start(cmd); err != nil {
		m.t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		m.t.Fatalf("%s: %v\n%s", script, err, &out)
	}
	return out.String()
}

// state is all that a sweep might touch.
func (m *machine) state() string {
	return m.sh(`ip rule; ip -6 rule; ip -N route show table all; ip -N -6 route show table all | grep -v "^local\|^anycast\|^multicast\|^fe80"; ip nexthop; nft list ruleset`)
}

var options = sweep.Options{
	Paths:   topology.Paths{Mark: 0x52530000, Table: 52000, Priority: 5200},
	Routers: []topology.Linux{{Table: 100, Protocol: 83}},
}

func (m *machine) sweep(o sweep.Options) sweep.Report {
	m.t.Helper()
	var report sweep.Report
	err := m.ns.Do(func() (err error) {
		report, err = sweep.Sweep(o)
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return report
}

func (m *machine) lines(report sweep.Report) string {
	var lines []string
	for _, item := range report.Removed {
		lines = append(lines, item.What)
	}
	return strings.Join(lines, "\n")
}

func TestOnlyWhatIsOursIsRemoved(t *testing.T) {
	m := newMachine(t)
	m.sh(others[:strings.Index(others, "\tip nexthop add id 83")])
	clean := m.state()
	m.sh(ours)
	m.sh("ip nexthop add id 83 group 1381171200 protocol 83")
	full := m.state()

	trial := options
	trial.DryRun = true
	would := m.lines(m.sweep(trial))
	if now := m.state(); now != full {
		t.Errorf("a trial changed something:\nbefore:\n%s\nafter:\n%s", full, now)
	}
	did := m.lines(m.sweep(options))
	if did != would {
		t.Errorf("a trial says\n%s\nand then it removes\n%s", would, did)
	}
	// One object is in somebody else's group.
	if want := "id 1381171200 via 192.0.2.11"; !strings.Contains(m.sh("ip nexthop"), want) {
		t.Errorf("an object that somebody else uses is gone:\n%s", m.sh("ip -N nexthop"))
	}
	m.sh("ip nexthop del id 83")
	m.sweep(options)
	if now := m.state(); now != clean {
		t.Errorf("before:\n%s\nafter:\n%s", clean, now)
	}
	if again := m.sweep(options); len(again.Removed) != 0 {
		t.Errorf("the third time it removes %v", again.Removed)
	}
	t.Log("removed:\n" + did)
}

func TestRoutesOfVIPsStayUnlessTheyAreAskedFor(t *testing.T) {
	m := newMachine(t)
	m.sh(ours + routes)
	report := m.sweep(options)
	if report.Routes != 3 {
		t.Errorf("it says that %d routes stay, want 3", report.Routes)
	}
	if left := m.sh("ip -N route show table 100 proto 83; ip -N -6 route show table 100 proto 83"); strings.Count(left, "\n") < 3 {
		t.Errorf("routes that stay:\n%s", left)
	}
	for _, object := range []string{"1381171201", "1381171202", "1381171210"} {
		if !strings.Contains(m.sh("ip nexthop"), "id "+object+" ") {
			t.Errorf("object %s is gone, which a route uses", object)
		}
	}
	if gone := m.sh("ip nexthop"); strings.Contains(gone, "1381171203") || strings.Contains(gone, "1381171211") {
		t.Errorf("objects that nobody uses are left:\n%s", gone)
	}
	all := options
	all.Routes, all.DryRun = true, true
	would := m.lines(m.sweep(all))
	all.DryRun = false
	if did := m.lines(m.sweep(all)); did != would {
		t.Errorf("a trial says\n%s\nand then it removes\n%s", would, did)
	}
	if left := m.sh("ip nexthop; ip route show table 100; ip -6 route show table 100"); left != "" {
		t.Errorf("left:\n%s", left)
	}
}

func TestATableThatHasOurNameOnlyIsLeft(t *testing.T) {
	m := newMachine(t)
	m.sh("nft add table ip routesteer")
	if report := m.sweep(options); len(report.Removed) != 0 {
		t.Errorf("removed %v", report.Removed)
	}
}
