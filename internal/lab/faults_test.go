package lab

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// families runs a test for each family.
func families(t *testing.T, test func(*testing.T, Family)) {
	for _, family := range []Family{IPv4, IPv6} {
		t.Run(string(family), func(t *testing.T) { test(t, family) })
	}
}

func TestFaultsDoWhatTheySay(t *testing.T) { families(t, testFaults) }

func testFaults(t *testing.T, family Family) {
	l := start(t, Options{Family: family})
	web1, vip := l.Site.Servers[0].Address, l.Site.VIPs[0].Address
	router := l.network.router

	for _, c := range []struct {
		action Action
		check  func(t *testing.T)
	}{
		{Crash, func(t *testing.T) {
			if _, err := fetch(l.network.client, vip, patient); !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("got %v, want connection refused", err)
			}
		}},
		{Freeze, func(t *testing.T) {
			_, err := fetch(l.network.client, vip, short)
			wantTimeout(t, err, "request to a frozen server")
			if err := ping(router, web1, patient); err != nil {
				t.Errorf("ping of a frozen server: %v", err)
			}
		}},
		{Block, func(t *testing.T) {
			_, err := fetch(l.network.client, vip, short)
			wantTimeout(t, err, "request to a blocked server")
			wantTimeout(t, ping(router, web1, short), "ping of a blocked server")
			wantNeighbour(t, router, web1)
		}},
		{Unplug, func(t *testing.T) {
			wantTimeout(t, ping(router, web1, short), "ping of an unplugged server")
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

// A keep-alive connection, for which the kernel remembers the way, is as
// blocked as a new one.
func TestBlockCutsConnectionsThatAreOpen(t *testing.T) {
	families(t, func(t *testing.T, family Family) {
		l := start(t, Options{Servers: 1, VIPs: 1, Family: family})
		vip := l.Site.VIPs[0].Address
		conn, err := connectTo(l.network.client, vip, patient)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ask := func(patience time.Duration) error {
			request := []byte("HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
			if _, err := conn.Write(request); err != nil {
				return err
			}
			if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
				return err
			}
			_, err := conn.Read(make([]byte, maxAnswer))
			return err
		}
		if err := ask(patient); err != nil {
			t.Fatal(err)
		}
		do(t, l, Block, "web1")
		wantTimeout(t, ask(short), "request on an open connection to a blocked server")
	})
}

func TestRemoveVIPTakesWhatTheServerBacksUp(t *testing.T) { families(t, testRemoveVIP) }

func testRemoveVIP(t *testing.T, family Family) {
	l := start(t, Options{Family: family})
	vip := l.Site.VIPs[0]
	do(t, l, RemoveVIP, "web2")
	wantServer(t, l, l.Site.VIPs[1].Address, "web2")
	if err := l.Route(t.Context(), vip, "web2"); err != nil {
		t.Fatal(err)
	}
	if got, err := fetch(l.network.client, vip.Address, short); err == nil {
		t.Errorf("%s is answered by %s, want no answer", vip.Address, got)
	}
	do(t, l, Restore, "web2")
	wantServer(t, l, vip.Address, "web2")
}

func TestUnplugAtTheRouterTakesItsCarrier(t *testing.T) { families(t, testUnplugAtTheRouter) }

func testUnplugAtTheRouter(t *testing.T, family Family) {
	l := start(t, Options{Links: Direct, Family: family})
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
	t.Parallel()
	l := start(t, Options{Family: IPv6})
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
		if listener, err = net.Listen("tcp6", fmt.Sprintf(":%d", httpPort)); err != nil {
			return err
		}
		packets, err = listenEcho("web1", IPv6)
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
		messages[i].OOB = make([]byte, unix.CmsgSpace(unix.SizeofInet6Pktinfo))
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
