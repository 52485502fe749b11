package bgp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/internal/netns"
	"github.com/routesteer/routesteer/internal/netns/netnstest"
)

// A host is a machine on one of the router's networks.
type host struct {
	t      *testing.T
	kernel *netns.Namespace
}

// attach makes a machine whose link the router has under that name, bridged to
// lan0 if port says so.
func (r *router) attach(t *testing.T, name string, port bool, addresses ...string) *host {
	t.Helper()
	n := netnstest.New(t, name)
	h := &host{t, n}
	h.ip("link add eth0 type veth peer name %s netns /proc/%d/fd/%d", name, os.Getpid(), r.kernel.Fd())
	if port {
		r.run("ip link set %s master lan0", name)
	}
	r.run("ip link set %s up", name)
	h.ip("link set eth0 up")
	for _, address := range addresses {
		h.ip("address add %s dev eth0", address)
	}
	return h
}

func (h *host) ip(format string, args ...any) {
	h.t.Helper()
	var out strings.Builder
	cmd := exec.Command("ip", strings.Fields(fmt.Sprintf(format, args...))...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := h.kernel.Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		h.t.Fatalf("ip "+format+": %v\n%s", append(args, err, out.String())...)
	}
}

// serve counts what the host gets at the address, until the test ends.
func (h *host) serve(address netip.AddrPort) *atomic.Int64 {
	h.t.Helper()
	conn := h.socket(address)
	var got atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 64)
		for {
			if _, _, err := conn.ReadFrom(buffer); err != nil {
				return
			}
			got.Add(1)
		}
	}()
	h.t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return &got
}

// socket opens a UDP socket whose buffer holds all of a test's packets.
func (h *host) socket(address netip.AddrPort) net.PacketConn {
	h.t.Helper()
	var conn net.PacketConn
	err := h.kernel.Do(func() (err error) {
		conn, err = (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", address.String())
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	raw, err := conn.(*net.UDPConn).SyscallConn()
	if err != nil {
		h.t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return conn
}

// TestMovesLoseNoPacket sends 10,000 packets a second through BIRD's router to a
// VIP that two servers on the network of the session carry, while it moves to and
// fro.
func TestMovesLoseNoPacket(t *testing.T) {
	const moves, between, rate = 12, 1500, 10_000 // between moves are so many packets
	r := newRouter(t)
	r.startBird(birdConfig)
	at := netip.AddrPortFrom(vip4.Addr().Next(), 5000)
	client := r.attach(t, "client", false, "198.51.100.2/24")
	r.run("ip address add 198.51.100.1/24 dev client")
	client.ip("route add default via 198.51.100.1")
	if err := r.kernel.Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) }); err != nil {
		t.Fatal(err)
	}
	var got [2]*atomic.Int64
	for i, name := range []string{"web1", "web2"} {
		server := r.attach(t, name, true, []string{"192.0.2.11/24", "192.0.2.12/24"}[i])
		server.ip("address add %s/32 dev lo", at.Addr())
		server.ip("route add default via 192.0.2.1")
		got[i] = server.serve(at)
	}
	m := speak(t, site(nil), vip4)
	m.send(only(vip4), web1)
	r.routes(vip4, web1)

	sent, stop := client.flood(at, rate)
	for i := range moves {
		to := []netip.Addr{web2, web1}[i%2]
		m.send(only(vip4), to)
		r.routes(vip4, to)
		before := got[(i+1)%2].Load()
		r.soon("packets go there", func() bool { return got[(i+1)%2].Load() > before+between })
	}
	stop()
	r.soon("all packets have arrived", func() bool { return got[0].Load()+got[1].Load() == sent.Load() })
	t.Logf("%d packets, %d to web1, %d to web2, none lost in %d moves", sent.Load(), got[0].Load(), got[1].Load(), moves)
}

// flood sends packets at a rate until stop is called, and counts them.
func (h *host) flood(to netip.AddrPort, rate int) (sent *atomic.Int64, stop func()) {
	h.t.Helper()
	conn := h.socket(netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
	sent = new(atomic.Int64)
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			for range rate / 1000 {
				if _, err := conn.WriteTo([]byte("packet"), net.UDPAddrFromAddrPort(to)); err == nil {
					sent.Add(1)
				}
			}
		}
	}()
	return sent, func() {
		close(end)
		<-done
		_ = conn.Close()
	}
}
