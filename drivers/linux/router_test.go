package linux

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/routesteer/routesteer/internal/netns"
	"github.com/routesteer/routesteer/internal/netns/netnstest"
	"github.com/routesteer/routesteer/topology"
)

func TestMain(m *testing.M) {
	if err := netns.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// A router is a network namespace with two networks, lan0 and lan1, whose
// other ends are in a namespace of their own, and IPv4 and IPv6 on both:
// 192.0.2.0/24 and 2001:db8:1::/64 on lan0, 198.51.100.0/24 and
// 2001:db8:2::/64 on lan1.
type router struct {
	t             testing.TB
	kernel, wires *netns.Namespace
}

func newRouter(t testing.TB) *router {
	t.Helper()
	r := &router{t: t, kernel: netnstest.New(t, "router"), wires: netnstest.New(t, "wires")}
	for i, addresses := range [][]string{{"192.0.2.1/24", "2001:db8:1::1/64"}, {"198.51.100.1/24", "2001:db8:2::1/64"}} {
		lan := fmt.Sprintf("lan%d", i)
		r.ip("link add %s type veth peer name %s netns %s", lan, lan, r.wiresPath())
		r.ip("link set %s up", lan)
		r.run(r.wires, "ip link set "+lan+" up")
		for _, a := range addresses {
			nodad := ""
			if strings.Contains(a, ":") {
				nodad = "nodad"
			}
			r.ip("address add %s dev %s %s", a, lan, nodad)
		}
	}
	return r
}

// wiresPath names the second namespace for a child of this process.
func (r *router) wiresPath() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), r.wires.Fd()) }

// ip runs the real ip(8) in the router and returns its output.
func (r *router) ip(format string, args ...any) string {
	r.t.Helper()
	return r.run(r.kernel, "ip "+fmt.Sprintf(format, args...))
}

func (r *router) run(in *netns.Namespace, command string) string {
	r.t.Helper()
	out, err := tryRun(in, command)
	if err != nil {
		r.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return out
}

func tryRun(in *netns.Namespace, command string) (string, error) {
	words := strings.Fields(command)
	cmd := exec.Command(words[0], words[1:]...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := in.Start(cmd); err != nil {
		return "", err
	}
	err := cmd.Wait()
	return out.String(), err
}

// batch runs the lines through one ip -batch.
func (r *router) batch(lines string) {
	r.t.Helper()
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(lines)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := r.kernel.Start(cmd); err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		r.t.Fatalf("ip -batch: %v\n%s", err, out.String())
	}
}

var defaults = topology.Linux{Table: 254, Protocol: 82}

// open opens a driver for prefixes that have nothing in common.
func (r *router) open(cfg topology.Linux, prefixes ...netip.Prefix) *Driver {
	r.t.Helper()
	return r.openCohorts(cfg, lone(prefixes...)...)
}

func lone(prefixes ...netip.Prefix) [][]netip.Prefix {
	var cohorts [][]netip.Prefix
	for _, p := range prefixes {
		cohorts = append(cohorts, []netip.Prefix{p})
	}
	return cohorts
}

func (r *router) openCohorts(cfg topology.Linux, cohorts ...[]netip.Prefix) *Driver {
	r.t.Helper()
	d, err := OpenAt(r.kernel.Fd(), cfg, cohorts, quiet())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := d.Close(); err != nil {
			r.t.Error(err)
		}
	})
	return d
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
