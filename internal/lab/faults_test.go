package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// short is long enough for an answer inside one machine.
const short = 300 * time.Millisecond

// fetch does one request from a host and returns the server's name.
func fetch(h *host, to netip.Addr) (string, error) {
	var conn net.Conn
	err := h.Do(func() error {
		var err error
		conn, err = net.DialTimeout("tcp", netip.AddrPortFrom(to, httpPort).String(), short)
		return err
	})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(short)); err != nil {
		return "", err
	}
	if _, err := conn.Write(httpRequest(nil, to.String(), 1)); err != nil {
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
func ping(h *host, to netip.Addr) error {
	var conn *icmp.PacketConn
	err := h.Do(func() error {
		var err error
		conn, err = icmp.ListenPacket("ip4:icmp", "0.0.0.0")
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: os.Getpid() & 0xffff, Seq: 1}}
	b, err := m.Marshal(nil)
	if err != nil {
		return err
	}
	if _, err := conn.WriteTo(b, &net.IPAddr{IP: to.AsSlice()}); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(short)); err != nil {
		return err
	}
	b = make([]byte, 512)
	for {
		n, _, err := conn.ReadFrom(b)
		if err != nil {
			return err
		}
		if reply, err := icmp.ParseMessage(1, b[:n]); err == nil && reply.Type == ipv4.ICMPTypeEchoReply {
			return nil
		}
	}
}

func wantServer(t *testing.T, l *Lab, to netip.Addr, want string) {
	t.Helper()
	got, err := fetch(l.network.client, to)
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

func TestFaultsDoWhatTheySay(t *testing.T) {
	l := start(t, Options{})
	web1, vip := l.Site.Servers[0].Address, l.Site.VIPs[0].Address
	router := l.network.router

	for _, c := range []struct {
		action Action
		check  func(t *testing.T)
	}{
		{Crash, func(t *testing.T) {
			if _, err := fetch(l.network.client, vip); !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("got %v, want connection refused", err)
			}
		}},
		{Freeze, func(t *testing.T) {
			_, err := fetch(l.network.client, vip)
			wantTimeout(t, err, "request to a frozen server")
			if err := ping(router, web1); err != nil {
				t.Errorf("ping of a frozen server: %v", err)
			}
		}},
		{Block, func(t *testing.T) {
			_, err := fetch(l.network.client, vip)
			wantTimeout(t, err, "request to a blocked server")
			wantTimeout(t, ping(router, web1), "ping of a blocked server")
			wantARP(t, router, web1)
		}},
		{Unplug, func(t *testing.T) {
			wantTimeout(t, ping(router, web1), "ping of an unplugged server")
			wantCarrier(t, router, lanPort, true)
			wantCarrier(t, l.network.servers["web1"], nic, false)
		}},
	} {
		t.Run(string(c.action), func(t *testing.T) {
			wantServer(t, l, vip, "web1")
			do(t, l, c.action, "web1")
			do(t, l, c.action, "web1") // twice is once
			c.check(t)
			wantServer(t, l, l.Site.VIPs[1].Address, "web2")
			do(t, l, Restore, "web1")
			do(t, l, Restore, "web1")
			wantServer(t, l, vip, "web1")
		})
	}
}

func TestRemoveVIPTakesWhatTheServerBacksUp(t *testing.T) {
	l := start(t, Options{})
	vip := l.Site.VIPs[0]
	do(t, l, RemoveVIP, "web2")
	wantServer(t, l, l.Site.VIPs[1].Address, "web2")
	if err := l.Route(vip, "web2"); err != nil {
		t.Fatal(err)
	}
	if got, err := fetch(l.network.client, vip.Address); err == nil {
		t.Errorf("%s is answered by %s, want no answer", vip.Address, got)
	}
	do(t, l, Restore, "web2")
	wantServer(t, l, vip.Address, "web2")
}

func TestUnplugAtTheRouterTakesItsCarrier(t *testing.T) {
	l := start(t, Options{Links: Direct})
	vip := l.Site.VIPs[0].Address
	wantServer(t, l, vip, "web1")
	wantCarrier(t, l.network.router, "web1", true)
	do(t, l, Unplug, "web1")
	wantCarrier(t, l.network.router, "web1", false)
	wantCarrier(t, l.network.router, "web2", true)
	do(t, l, Restore, "web1")
	wantServer(t, l, vip, "web1")
}

func TestFaultsOfUnknownNamesSayWhatThereIs(t *testing.T) {
	l := start(t, Options{Servers: 2, VIPs: 2})
	if err := l.Do(t.Context(), Crash, "wbe1"); err == nil || !strings.Contains(err.Error(), "web1, web2") {
		t.Errorf("unknown server: %v, want the known ones", err)
	}
	if err := l.Do(t.Context(), "explode", "web1"); err == nil || !strings.Contains(err.Error(), "crash, freeze") {
		t.Errorf("unknown action: %v, want the known ones", err)
	}
}

// A server that answers with somebody else's nonce is as bad as a dead one,
// and is not to be mistaken for a good one.
func TestWrongAnswersAreNoticed(t *testing.T) {
	l := start(t, Options{})
	do(t, l, Crash, "web1")
	impostor := serveWrong(t, l.network.servers["web1"])
	defer impostor()
	got := measure(t, l, LoadOptions{Requests: 100, Packets: 1000}, short, func() {})
	v := got.VIP(0)
	if v.Failed != v.Requests || v.Lost != v.Packets || got.Wrong != v.Requests+v.Packets {
		t.Errorf("%d wrong answers, %d of %d requests failed, %d of %d packets lost; want all of them to be wrong",
			got.Wrong, v.Failed, v.Requests, v.Lost, v.Packets)
	}
}

// serveWrong serves HTTP and UDP with one wrong bit.
func serveWrong(t *testing.T, h *host) (stop func()) {
	t.Helper()
	var listener net.Listener
	var packets *echo
	err := h.Do(func() error {
		var err error
		if listener, err = net.Listen("tcp4", fmt.Sprintf(":%d", httpPort)); err != nil {
			return err
		}
		packets, err = listenEcho("web1")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(serverHeader, "web1")
		fmt.Fprintf(w, "web1 %016x\n", 1)
	})}
	done := make(chan struct{}, 2)
	go func() { _ = server.Serve(listener); done <- struct{}{} }()
	go func() { echoWrong(packets); done <- struct{}{} }()
	return func() {
		if err := errors.Join(server.Close(), packets.close()); err != nil {
			t.Error(err)
		}
		<-done
		<-done
	}
}

func echoWrong(e *echo) {
	messages := udpMessages()
	for i := range messages {
		messages[i].OOB = make([]byte, unix.CmsgSpace(unix.SizeofInet4Pktinfo))
	}
	for {
		n, err := e.pc.ReadBatch(messages, 0)
		if err != nil {
			return
		}
		for _, m := range messages[:n] {
			m.Buffers[0][udpRequest-1] ^= 1
		}
		e.answer(messages[:n])
		reset(messages)
	}
}

// wantARP makes the host forget a neighbour and ask again.
func wantARP(t *testing.T, h *host, neighbour netip.Addr) {
	t.Helper()
	link, err := h.link(lanPort)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.nl.NeighDel(&netlink.Neigh{LinkIndex: link.Attrs().Index, IP: neighbour.AsSlice()}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	err = poll(ctx, 10*time.Millisecond, "an answer to ARP", func() (bool, error) {
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
