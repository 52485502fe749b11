package cisco

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	frrd "github.com/routesteer/routesteer/internal/frr" // this package has a func frr
	"github.com/routesteer/routesteer/internal/netns"
	"github.com/routesteer/routesteer/internal/netns/netnstest"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// unpacked is where scripts/test-tools puts packages that would change this
// machine's network if they were installed.
var unpacked = []string{"../../build/hosts/frr", "../../build/hosts/openssh-server"}

// frrTag is the mark of our routes on FRR.
const frrTag = 5253

// An frrRouter is a real FRR behind a real SSH server, on a network with
// 192.0.2.0/24 and 2001:db8:1::/64, whose other end is in a namespace of its own.
type frrRouter struct {
	*frrd.Router
	kernel, wires *netns.Namespace
}

func newFRR(t testing.TB) *frrRouter {
	t.Helper()
	r := &frrRouter{kernel: netnstest.New(t, "router"), wires: netnstest.New(t, "wires")}
	wire := netlink.NewLinkAttrs()
	wire.Name = "lan"
	err := r.kernel.Do(func() error {
		lan := &netlink.Veth{LinkAttrs: wire, PeerName: "lan", PeerNamespace: netlink.NsFd(r.wires.Fd())}
		if err := netlink.LinkAdd(lan); err != nil {
			return err
		}
		return errors.Join(
			os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644),
			os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0o644),
			netlink.LinkSetUp(lan), addAddress(lan, "192.0.2.1/24"), addAddress(lan, "2001:db8:1::1/64"))
	})
	err = errors.Join(err, r.wires.Do(func() error {
		lan, err := netlink.LinkByName("lan")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lan)
	}))
	if err != nil {
		t.Fatal(err)
	}
	if r.Router, err = frrd.Start(r.kernel, frrd.Options{Dir: t.TempDir(), Unpacked: unpacked}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// addAddress gives a link an address that works at once.
func addAddress(link netlink.Link, address string) error {
	ip, network, err := net.ParseCIDR(address)
	if err != nil {
		return err
	}
	return netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: ip, Mask: network.Mask}, Flags: unix.IFA_F_NODAD})
}

// cfg is what the file would say of the router.
func (r *frrRouter) cfg() topology.Cisco {
	return topology.Cisco{
		Address: r.Address.Addr(), Port: r.Address.Port(), User: r.User, KeyFile: r.KeyFile, KnownHosts: r.KnownHosts,
		Dialect: topology.FRR, Tag: frrTag, Distance: 1, Strategy: topology.StrategyReplace, Timeout: 30 * time.Second,
	}
}

// open opens a driver for VIPs.
func (r *frrRouter) open(cfg topology.Cisco, prefixes ...netip.Prefix) *Driver {
	site := &topology.Site{}
	for _, p := range prefixes {
		site.VIPs = append(site.VIPs, topology.VIP{Prefix: p})
	}
	return Open(topology.Router{Name: "edge", Cisco: &cfg}, site, Options{Dial: r.Dial, Log: slog.New(slog.DiscardHandler)})
}

// static returns FRR's lines for a prefix, as it prints them.
func (r *frrRouter) static(t testing.TB, p netip.Prefix) []string {
	t.Helper()
	text, err := r.Vtysh("show running-config")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, word(p)+" "+p.String()+" ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// put gives a prefix these next hops and no others. extra ends the lines.
func (r *frrRouter) put(t testing.TB, p netip.Prefix, hops []steer.NextHop, extra string) {
	t.Helper()
	old := r.static(t, p)
	var lines []string
	for _, hop := range hops {
		line := fmt.Sprintf("%s %s %s", word(p), p, hop.Address)
		lines = append(lines, strings.TrimSpace(line+" "+extra))
		// A line for the same next hop takes the place of the one that was.
		old = slices.DeleteFunc(old, func(l string) bool { return l == line || strings.HasPrefix(l, line+" ") })
	}
	for _, l := range old {
		lines = append(lines, "no "+l)
	}
	r.configure(t, lines...)
}

func (r *frrRouter) configure(t testing.TB, lines ...string) {
	t.Helper()
	if err := r.Configure(lines...); err != nil {
		t.Fatal(err)
	}
}

// word begins a static route's line.
func word(p netip.Prefix) string {
	if p.Addr().Is6() {
		return "ipv6 route"
	}
	return "ip route"
}

// routeNews is the kernel's news of routes in the router.
type routeNews struct {
	updates chan netlink.RouteUpdate
	done    chan struct{}
}

func (r *frrRouter) listen(t testing.TB) *routeNews {
	t.Helper()
	n := &routeNews{updates: make(chan netlink.RouteUpdate, 1<<16), done: make(chan struct{})}
	handle := vnetns.NsHandle(r.kernel.Fd())
	err := netlink.RouteSubscribeWithOptions(n.updates, n.done, netlink.RouteSubscribeOptions{
		Namespace: &handle, ReceiveBufferSize: 8 << 20, ReceiveBufferForceSize: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// close ends the news, and waits until nobody sends them any more.
func (n *routeNews) close() {
	close(n.done)
	for range n.updates {
	}
}

// until returns the news up to that of a route to a prefix, which it awaits.
func (n *routeNews) until(t testing.TB, p netip.Prefix) []netlink.RouteUpdate {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var all []netlink.RouteUpdate
	for {
		select {
		case u, ok := <-n.updates:
			if !ok {
				t.Fatal("the news ended")
			}
			if all = append(all, u); u.Type == unix.RTM_NEWROUTE && destination(u) == p {
				return all
			}
		case <-ctx.Done():
			t.Fatalf("no news of a route to %s", p)
		}
	}
}

// destination is what a route is for; the zero Prefix is everything.
func destination(u netlink.RouteUpdate) netip.Prefix {
	if u.Dst == nil || u.Table != unix.RT_TABLE_MAIN {
		return netip.Prefix{}
	}
	addr, _ := netip.AddrFromSlice(u.Dst.IP)
	bits, _ := u.Dst.Mask.Size()
	if u.Family == unix.AF_INET {
		addr = addr.Unmap()
	}
	return netip.PrefixFrom(addr, bits)
}

// flush returns the news so far, when zebra has done all that it was told: it
// does one after the other, and the last is a route of ours to wait for.
func (r *frrRouter) flush(t testing.TB, n *routeNews) []netlink.RouteUpdate {
	t.Helper()
	marker := netip.MustParsePrefix("192.0.2.240/32")
	r.configure(t, "ip route 192.0.2.240/32 192.0.2.11")
	news := n.until(t, marker)
	r.configure(t, "no ip route 192.0.2.240/32 192.0.2.11")
	return news
}
