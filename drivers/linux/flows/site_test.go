package flows

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/internal/netns"
	"github.com/routesteer/routesteer/internal/netns/netnstest"
	"github.com/routesteer/routesteer/steer"
)

func TestMain(m *testing.M) {
	if err := netns.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// A world is a client, a router and three servers that carry all VIPs, in
// namespaces. web1 to web3 have 192.0.2.11 to .13 and 2001:db8:1::11 to ::13.
// Each server answers every line it gets with its name, on TCP and UDP.
type world struct {
	t              testing.TB
	client, router *netns.Namespace
	servers        []*netns.Namespace
}

const port = "7000"

// The VIPs. Client packets to them pass the router.
var (
	vip4  = netip.MustParsePrefix("203.0.113.32/27")
	vip6  = netip.MustParsePrefix("2001:db8:100::/64")
	other = netip.MustParsePrefix("203.0.113.64/32")
)

func address(vip netip.Prefix) netip.Addr {
	if vip.IsSingleIP() {
		return vip.Addr()
	}
	return vip.Addr().Next()
}

// web is the next hop of server n for the VIP.
func web(vip netip.Prefix, numbers ...int) []steer.NextHop {
	var hops []steer.NextHop
	for _, n := range numbers {
		format := "192.0.2.1%d"
		if vip.Addr().Is6() {
			format = "2001:db8:1::1%d"
		}
		hops = append(hops, steer.NextHop{Address: netip.MustParseAddr(fmt.Sprintf(format, n)), Weight: 1})
	}
	return hops
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, client: namespace(t, "client"), router: namespace(t, "router")}
	lan := namespace(t, "switch")
	w.run(lan, "ip link add br0 type bridge")
	w.run(lan, "ip link set br0 up")
	w.cable(w.router, "wan", w.client, "eth0")
	w.cable(w.router, "lan", lan, "router")
	w.run(lan, "ip link set router master br0")
	w.run(w.router, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
	w.addresses(w.router, "wan", "10.0.0.1/24", "2001:db8:2::1/64")
	w.addresses(w.client, "eth0", "10.0.0.2/24", "2001:db8:2::2/64")
	w.addresses(w.router, "lan", "192.0.2.1/24", "2001:db8:1::1/64")
	w.gateway(w.client, "10.0.0.1", "2001:db8:2::1")
	for n := 1; n <= 3; n++ {
		name := fmt.Sprintf("web%d", n)
		server := namespace(t, name)
		w.servers = append(w.servers, server)
		w.cable(lan, name, server, "eth0")
		w.run(lan, "ip link set "+name+" master br0")
		w.addresses(server, "eth0", fmt.Sprintf("192.0.2.1%d/24", n), fmt.Sprintf("2001:db8:1::1%d/64", n))
		for _, vip := range []netip.Prefix{vip4, vip6, other} {
			w.addresses(server, "lo", netip.PrefixFrom(address(vip), address(vip).BitLen()).String())
		}
		w.gateway(server, "192.0.2.1", "2001:db8:1::1")
		w.serve(server, name)
	}
	return w
}

func namespace(t testing.TB, name string) *netns.Namespace {
	t.Helper()
	n := netnstest.New(t, name)
	// Addresses are not looked for elsewhere first, which takes a second or two.
	if err := n.Do(func() error { return os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0) }); err != nil {
		t.Fatal(err)
	}
	return n
}

func (w *world) cable(a *netns.Namespace, portA string, b *netns.Namespace, portB string) {
	w.t.Helper()
	w.run(a, fmt.Sprintf("ip link add %s type veth peer name %s netns /proc/%d/fd/%d", portA, portB, os.Getpid(), b.Fd()))
	w.run(a, "ip link set "+portA+" up")
	w.run(b, "ip link set "+portB+" up")
}

func (w *world) addresses(n *netns.Namespace, device string, addresses ...string) {
	w.t.Helper()
	for _, a := range addresses {
		nodad := ""
		if strings.Contains(a, ":") {
			nodad = " nodad"
		}
		w.run(n, "ip address add "+a+" dev "+device+nodad)
	}
}

func (w *world) gateway(n *netns.Namespace, v4, v6 string) {
	w.t.Helper()
	w.run(n, "ip -4 route add default via "+v4)
	w.run(n, "ip -6 route add default via "+v6)
}

func (w *world) run(n *netns.Namespace, command string) string {
	w.t.Helper()
	words := strings.Fields(command)
	cmd := exec.Command(words[0], words[1:]...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := n.Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		w.t.Fatalf("%s in %s: %v\n%s", command, n.Name, err, out.String())
	}
	return out.String()
}

// serve answers lines with the server's name until the test ends.
func (w *world) serve(n *netns.Namespace, name string) {
	w.t.Helper()
	var listener net.Listener
	var packets net.PacketConn
	err := n.Do(func() (err error) {
		if listener, err = net.Listen("tcp", ":"+port); err == nil {
			packets, err = net.ListenPacket("udp", ":"+port)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { answer(ctx, conn, name) })
		}
	})
	all.Go(func() { answerPackets(packets.(*net.UDPConn), name) })
	w.t.Cleanup(func() {
		stop()
		_ = listener.Close()
		_ = packets.Close()
		all.Wait()
	})
}

func answer(ctx context.Context, conn net.Conn, name string) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if _, err := io.WriteString(conn, name+"\n"); err != nil {
			return
		}
	}
}

func answerPackets(conn *net.UDPConn, name string) {
	buffer, control := make([]byte, 2048), make([]byte, 256)
	if err := wantDestination(conn); err != nil {
		panic(err)
	}
	for {
		_, n, _, from, err := conn.ReadMsgUDPAddrPort(buffer, control)
		if err != nil {
			return
		}
		// The answer comes from the address that was asked.
		_, _, _ = conn.WriteMsgUDPAddrPort([]byte(name+"\n"), control[:n], from)
	}
}

// route sets the VIP's route as the driver would.
func (w *world) route(vip netip.Prefix, hops []steer.NextHop) {
	w.t.Helper()
	command := "ip route replace " + vip.String()
	if len(hops) == 1 {
		command += " via " + hops[0].Address.String()
	} else {
		for _, hop := range hops {
			command += " nexthop via " + hop.Address.String()
		}
	}
	w.run(w.router, command)
}

var usual = Options{Timeout: time.Minute, Idle: 20 * time.Second, Limit: 10000, Protocol: 82}

func (w *world) open(o Options) *Keeper {
	w.t.Helper()
	k, err := Open(w.router.Fd(), o, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := k.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return k
}

// move moves the VIP's route with its connections kept.
func (w *world) move(k *Keeper, vip netip.Prefix, from, to []steer.NextHop) {
	w.t.Helper()
	if err := k.Begin([]Move{{Prefix: vip, From: from, To: to}}); err != nil {
		w.t.Fatal(err)
	}
	w.route(vip, to)
}

// A peer is an established connection, or a UDP socket.
type peer struct {
	net.Conn
	t     testing.TB
	lines *bufio.Reader
}

func (w *world) dial(vip netip.Prefix) *peer { return w.dialBy("tcp", vip) }

func (w *world) dialBy(network string, vip netip.Prefix) *peer {
	w.t.Helper()
	var conn net.Conn
	err := w.client.Do(func() (err error) {
		conn, err = net.DialTimeout(network, net.JoinHostPort(address(vip).String(), port), patience)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return &peer{conn, w.t, bufio.NewReader(conn)}
}

// patience is how long an answer may take on a busy machine.
const patience = 10 * time.Second

// ask says something and returns who answers, or the error.
func (p *peer) ask() (string, error) {
	if err := p.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(p, "who?\n"); err != nil {
		return "", err
	}
	line, err := p.lines.ReadString('\n')
	if tcp, is := p.Conn.(*net.TCPConn); is && err == nil { // it is acknowledged now, and not when the route has moved on
		err = setOption(tcp, unix.IPPROTO_TCP, unix.TCP_QUICKACK)
	}
	return strings.TrimSpace(line), err
}

// isAt fails the test unless the server answers.
func (p *peer) isAt(server string) {
	p.t.Helper()
	if got, err := p.ask(); err != nil || got != server {
		p.t.Errorf("the connection from %s is answered by %q, %v; want %s", p.LocalAddr(), got, err, server)
	}
}

// isCut fails the test unless the connection is dead.
func (p *peer) isCut() {
	p.t.Helper()
	if got, err := p.ask(); err == nil {
		p.t.Errorf("the connection from %s is answered by %q; want it cut", p.LocalAddr(), got)
	}
}

// transition returns the only transition.
func (w *world) transition(k *Keeper) steer.Transition {
	w.t.Helper()
	all, err := k.Transitions()
	if err != nil {
		w.t.Fatal(err)
	}
	if len(all) != 1 {
		w.t.Fatalf("%d transitions are under way: %v; want one", len(all), all)
	}
	return all[0]
}

// isClean fails the test if anything of ours is left in the router.
func (w *world) isClean() {
	w.t.Helper()
	if left := w.run(w.router, "nft list ruleset"); left != "" {
		w.t.Errorf("nftables are left:\n%s", left)
	}
	for _, family := range []string{"-4", "-6"} {
		for _, priority := range []string{"5099", "5100", "5101"} {
			if left := w.run(w.router, "ip "+family+" rule show priority "+priority); left != "" {
				w.t.Errorf("policy rules are left:\n%s", left)
			}
		}
		if left := w.run(w.router, "ip "+family+" route show table all proto 82"); left != "" {
			w.t.Errorf("routes are left:\n%s", left)
		}
	}
}

var discard = slog.New(slog.DiscardHandler)

// eventually waits until what holds, asking again and again.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	over := time.After(3 * patience)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-over:
			w.t.Fatalf("it does not come true that %s", what)
		}
	}
}

// reset ends the connection with an RST.
func (p *peer) reset() {
	p.t.Helper()
	if err := p.Conn.(*net.TCPConn).SetLinger(0); err != nil {
		p.t.Fatal(err)
	}
	_ = p.Close()
}

// dialFrom connects from an address and port.
func (w *world) dialFrom(from string, vip netip.Prefix) *peer {
	w.t.Helper()
	local, err := net.ResolveTCPAddr("tcp", from)
	if err != nil {
		w.t.Fatal(err)
	}
	var conn net.Conn
	dialer := net.Dialer{LocalAddr: local, Timeout: patience}
	err = w.client.Do(func() (err error) {
		conn, err = dialer.Dial("tcp", net.JoinHostPort(address(vip).String(), port))
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return &peer{conn, w.t, bufio.NewReader(conn)}
}
