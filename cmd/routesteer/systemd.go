package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/api"
)

// A notifier tells systemd how we are, by the protocol of sd_notify(3): a
// datagram of assignments to the socket in NOTIFY_SOCKET. Without it, nobody
// is told. It is a dozen lines; a dependency would not be fewer.
type notifier struct {
	address  *net.UnixAddr // nil without systemd
	watchdog time.Duration // 0 without one
}

// newNotifier reads what systemd put into the environment.
func newNotifier(env func(string) string) *notifier {
	n := &notifier{}
	if socket := env("NOTIFY_SOCKET"); socket != "" {
		if name, abstract := strings.CutPrefix(socket, "@"); abstract {
			socket = "\x00" + name
		}
		n.address = &net.UnixAddr{Name: socket, Net: "unixgram"}
	}
	if usec, err := strconv.ParseInt(env("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 {
		n.watchdog = time.Duration(usec) * time.Microsecond
	}
	return n
}

func (n *notifier) ready()    { n.send("READY=1") }
func (n *notifier) stopping() { n.send("STOPPING=1") }

// reloading is for Type=notify-reload, which wants to know when, by
// CLOCK_MONOTONIC.
func (n *notifier) reloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return // this clock is always there
	}
	n.send(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
}

// send is best effort: systemd acts on what it does not hear, and there is
// nothing that we could do better.
func (n *notifier) send(text string) {
	if n.address == nil {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, n.address)
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(text))
}

// attend tells systemd when we are ready, as long as the controller's loop
// answers, and when ctx has ended.
func (n *notifier) attend(ctx context.Context, running <-chan struct{}, operator api.Operator) error {
	select {
	case <-running:
		n.ready()
	case <-ctx.Done():
		return nil
	}
	defer n.stopping()
	if n.watchdog == 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(n.watchdog / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if n.alive(ctx, operator) {
				n.send("WATCHDOG=1")
			}
		}
	}
}

// alive reports whether the controller's loop answers in time.
func (n *notifier) alive(ctx context.Context, operator api.Operator) bool {
	ctx, cancel := context.WithTimeout(ctx, n.watchdog/3)
	defer cancel()
	_, err := operator.Status(ctx)
	return err == nil
}
