package bgp

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/internal/netns"
	"github.com/routesteer/routesteer/topology"
)

const (
	ourAS   = 65000
	theirAS = 65001
)

var (
	ours4, router4 = netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.1")
	ours6, router6 = netip.MustParseAddr("2001:db8:1::2"), netip.MustParseAddr("2001:db8:1::1")
)

// A router is a network namespace with one network, lan0, that it shares with
// this process: 192.0.2.0/24 and 2001:db8:1::/64, where the router is 1, we are
// 2, and servers would be 11, 12 and 13.
type router struct {
	t      testing.TB
	kernel *netns.Namespace
	dir    string
}

func newRouter(t testing.TB) *router {
	t.Helper()
	n, err := netns.New("router")
	if err != nil {
		t.Fatal(err)
	}
	r := &router{t: t, kernel: n, dir: t.TempDir()}
	t.Cleanup(func() {
		r.here("ip link del lan0") // so that the next router finds the name free
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	r.run("ip link add lan0 type bridge")
	r.here("ip link add lan0 type veth peer name port0 netns /proc/%d/fd/%d", os.Getpid(), n.Fd())
	r.run("ip link set port0 master lan0 up")
	for _, address := range []netip.Addr{ours4, ours6} {
		r.here("ip address add %s dev lan0%s", prefixOn(address), nodad(address))
	}
	for _, address := range []netip.Addr{router4, router6} {
		r.run("ip address add %s dev lan0%s", prefixOn(address), nodad(address))
	}
	r.here("ip link set lan0 up")
	r.run("ip link set lan0 up")
	return r
}

func prefixOn(a netip.Addr) netip.Prefix {
	if a.Is6() {
		return netip.PrefixFrom(a, 64)
	}
	return netip.PrefixFrom(a, 24)
}

func nodad(a netip.Addr) string {
	if a.Is6() {
		return " nodad"
	}
	return ""
}

// here runs a command beside the speaker.
func (r *router) here(format string, args ...any) string {
	r.t.Helper()
	words := strings.Fields(fmt.Sprintf(format, args...))
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s: %v\n%s", strings.Join(words, " "), err, out)
	}
	return string(out)
}

// run runs a command on the router.
func (r *router) run(format string, args ...any) string {
	r.t.Helper()
	out, err := r.try(strings.Fields(fmt.Sprintf(format, args...))...)
	if err != nil {
		r.t.Fatalf(format+": %v\n%s", append(args, err, out)...)
	}
	return out
}

func (r *router) try(words ...string) (string, error) {
	cmd := exec.Command(words[0], words[1:]...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := r.kernel.Start(cmd); err != nil {
		return "", err
	}
	err := cmd.Wait()
	return out.String(), err
}

// A daemon is a routing daemon on a router.
type daemon struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// start starts a daemon, which ends with the test.
func (r *router) start(log string, words ...string) *daemon {
	r.t.Helper()
	out, err := os.OpenFile(filepath.Join(r.dir, log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := r.kernel.Start(cmd); err != nil {
		r.t.Fatal(err)
	}
	d := &daemon{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		_ = cmd.Wait() // it is killed
		_ = out.Close()
	}()
	r.t.Cleanup(d.kill)
	return d
}

// kill ends the daemon at once, as a crash would.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill() // it may have ended
	<-d.done
}

// write writes a file for the router's daemons and returns its path.
func (r *router) write(name, text string) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// via returns the next hops in the router's kernel, sorted; nil for no route.
func (r *router) via(p netip.Prefix) []netip.Addr {
	r.t.Helper()
	h, err := netlink.NewHandleAt(vnetns.NsHandle(r.kernel.Fd()))
	if err != nil {
		r.t.Fatal(err)
	}
	defer h.Close()
	family := unix.AF_INET
	if p.Addr().Is6() {
		family = unix.AF_INET6
	}
	routes, err := h.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		r.t.Fatal(err)
	}
	var hops []netip.Addr
	for _, route := range routes {
		if route.Dst == nil || route.Dst.String() != p.String() {
			continue
		}
		for _, gateway := range gateways(route) {
			if !slices.Contains(hops, gateway) {
				hops = append(hops, gateway)
			}
		}
	}
	slices.SortFunc(hops, netip.Addr.Compare)
	return hops
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	address, ok := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(address.Unmap(), bits), ok
}

func gateways(route netlink.Route) []netip.Addr {
	var hops []netip.Addr
	if a, ok := netip.AddrFromSlice(route.Gw); ok {
		hops = append(hops, a.Unmap())
	}
	if via, ok := route.Via.(*netlink.Via); ok && via != nil {
		if a, ok := netip.AddrFromSlice(via.Addr); ok {
			hops = append(hops, a)
		}
	}
	for _, hop := range route.MultiPath {
		if a, ok := netip.AddrFromSlice(hop.Gw); ok {
			hops = append(hops, a.Unmap())
		}
		if via, ok := hop.Via.(*netlink.Via); ok && via != nil {
			if a, ok := netip.AddrFromSlice(via.Addr); ok {
				hops = append(hops, a)
			}
		}
	}
	return hops
}

// removals listens for news that the prefix's route goes from the kernel, until
// the function it returns is called, which tells of them.
func (r *router) removals(p netip.Prefix) func() []string {
	r.t.Helper()
	news, done := make(chan netlink.RouteUpdate, 1024), make(chan struct{})
	ns := vnetns.NsHandle(r.kernel.Fd())
	err := netlink.RouteSubscribeWithOptions(news, done, netlink.RouteSubscribeOptions{Namespace: &ns})
	if err != nil {
		r.t.Fatal(err)
	}
	gaps, ended := []string{}, make(chan struct{})
	go func() {
		defer close(ended)
		for update := range news {
			if update.Type == unix.RTM_DELROUTE && update.Dst != nil && update.Dst.String() == p.String() {
				gaps = append(gaps, "the kernel told of its removal")
			}
		}
	}()
	return func() []string {
		close(done)
		<-ended
		return gaps
	}
}

// longest is how long a test waits for what must come.
const longest = time.Minute

// soon waits until a condition holds that the router brings about. Another
// program sends no news: it is asked again and again.
func (r *router) soon(what string, holds func() bool) {
	r.t.Helper()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	late := time.After(longest)
	for !holds() {
		select {
		case <-again.C:
		case <-late:
			r.t.Fatalf("it did not come about that %s\n%s", what, r.logs())
		}
	}
}

// logs are the last words of the router's daemons.
func (r *router) logs() string {
	var b strings.Builder
	files, _ := filepath.Glob(filepath.Join(r.dir, "*.log"))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		fmt.Fprintf(&b, "%s:\n%s\n", filepath.Base(file), text[max(0, len(text)-4000):])
	}
	return b.String()
}

// routes waits until the router's kernel sends the prefix to these next hops.
func (r *router) routes(p netip.Prefix, want ...netip.Addr) {
	r.t.Helper()
	var have []netip.Addr
	defer func() {
		if !slices.Equal(have, want) {
			r.t.Logf("%s: the kernel has %v", p, have)
		}
	}()
	r.soon(fmt.Sprintf("the router sends %s to %v", p, want), func() bool {
		have = r.via(p)
		return slices.Equal(have, want)
	})
}

// site is a router of the file, with one eBGP peer, as if all keys but the
// needed ones were left out; change may set others.
func site(change func(*topology.BGP)) topology.Router {
	cfg := &topology.BGP{
		ASN: ourAS, RouterID: ours4, Attributes: topology.Attributes{LocalPref: 100, Origin: topology.OriginIGP}, ListenPort: 179,
		Restart: topology.Restart{Time: 2 * time.Minute}, AtExit: topology.AtExitKeep,
		Peers: []topology.Peer{{
			Address: router4, ASN: theirAS, Port: 179, HoldTime: 9 * time.Second, ConnectRetry: 2 * time.Second, IPv4: true, IPv6: true,
		}},
	}
	if change != nil {
		change(cfg)
	}
	return topology.Router{Name: "edge", BGP: cfg}
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func addrs(words ...string) []netip.Addr {
	var all []netip.Addr
	for _, w := range words {
		all = append(all, netip.MustParseAddr(w))
	}
	return all
}
