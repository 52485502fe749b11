package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// How long to wait for an answer that must not come, and one that must: a
// busy machine may take its time.
const (
	short   = 300 * time.Millisecond
	patient = 10 * time.Second
)

// connectTo opens a connection to a web server from a host.
func connectTo(h *host, to netip.Addr, patience time.Duration) (conn net.Conn, err error) {
	err = h.Do(func() error {
		conn, err = net.DialTimeout("tcp", netip.AddrPortFrom(to, httpPort).String(), patience)
		return err
	})
	return conn, err
}

// fetch does one request from a host and returns the server's name.
func fetch(h *host, to netip.Addr, patience time.Duration) (string, error) {
	conn, err := connectTo(h, to, patience)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := conn.Write(httpRequest(nil, to.String(), 1, false)); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return "", err
	}
	if !strings.Contains(string(answer), "200 OK") {
		return "", fmt.Errorf("answer %q", answer)
	}
	_, name, _ := strings.Cut(string(answer), serverHeader+": ")
	name, _, _ = strings.Cut(name, "\r\n")
	return name, nil
}

// ping sends one echo request from a host.
func ping(h *host, to netip.Addr, patience time.Duration) error {
	network, any, protocol := "ip4:icmp", "0.0.0.0", unix.IPPROTO_ICMP
	var echo, reply icmp.Type = ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply
	if to.Is6() {
		network, any, protocol = "ip6:ipv6-icmp", "::", unix.IPPROTO_ICMPV6
		echo, reply = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	var conn *icmp.PacketConn
	err := h.Do(func() error {
		var err error
		conn, err = icmp.ListenPacket(network, any)
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	m := icmp.Message{Type: echo, Body: &icmp.Echo{ID: os.Getpid() & 0xffff, Seq: 1}}
	b, err := m.Marshal(nil)
	if err != nil {
		return err
	}
	if _, err := conn.WriteTo(b, &net.IPAddr{IP: to.AsSlice()}); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	b = make([]byte, 512)
	for {
		n, _, err := conn.ReadFrom(b)
		if err != nil {
			return err
		}
		if m, err := icmp.ParseMessage(protocol, b[:n]); err == nil && m.Type == reply {
			return nil
		}
	}
}

func wantServer(t *testing.T, l *Lab, to netip.Addr, want string) {
	t.Helper()
	got, err := fetch(l.network.client, to, patient)
	if err != nil || got != want {
		t.Errorf("%s is answered by %q, %v; want %s", to, got, err, want)
	}
}

func wantTimeout(t *testing.T, err error, what string) {
	t.Helper()
	if !errors.Is(err, os.ErrDeadlineExceeded) && !isTimeout(err) {
		t.Errorf("%s: got %v, want a timeout", what, err)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// wantNeighbour makes the host forget a neighbour and ask again.
func wantNeighbour(t *testing.T, h *host, neighbour netip.Addr) {
	t.Helper()
	link, err := h.link(lanPort)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.nl.NeighDel(&netlink.Neigh{LinkIndex: link.Attrs().Index, IP: neighbour.AsSlice()}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	err = poll(ctx, 10*time.Millisecond, "an answer from the neighbour", func() (bool, error) {
		if err := h.knock(neighbour); err != nil {
			return false, err
		}
		return h.knows(neighbour)
	})
	if err != nil {
		t.Error(err)
	}
}

func wantCarrier(t *testing.T, h *host, device string, want bool) {
	t.Helper()
	link, err := h.link(device)
	if err != nil {
		t.Fatal(err)
	}
	if got := link.Attrs().RawFlags&unix.IFF_LOWER_UP != 0; got != want {
		t.Errorf("carrier of %s at %s is %v, want %v", device, h.Name, got, want)
	}
}
