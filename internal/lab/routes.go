package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A RouteChange is the router's kernel saying that a route changed. The lab
// listens itself, so that a controller's word is not needed for what it did.
type RouteChange struct {
	At      time.Time
	Prefix  netip.Prefix
	Via     netip.Addr // invalid for several next hops, or none
	Several bool       // next hops: on the way from one to another, or for good
	Removed bool
}

// A RouteWatch collects changes of the routes for the site's VIPs in the
// router's main table.
type RouteWatch struct {
	socket *nl.NetlinkSocket
	vips   []netip.Prefix
	done   chan struct{}

	mu      sync.Mutex
	changes []RouteChange
	err     error
}

// routeBuffer holds the changes of the largest site, should they all come
// while this process is not scheduled.
const routeBuffer = 32 << 20

// WatchRoutes starts to collect. Close the watch when done.
func (l *Lab) WatchRoutes() (*RouteWatch, error) {
	w := &RouteWatch{done: make(chan struct{})}
	for _, vip := range l.Site.VIPs {
		w.vips = append(w.vips, vip.Prefix)
	}
	err := l.network.router.Do(func() error {
		var err error
		w.socket, err = nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("watch the router's routes: %w", err)
	}
	// Without the right to force it the kernel's limit applies; an overflow is
	// an error of Changes.
	_ = w.socket.SetReceiveBufferSize(routeBuffer, true)
	go w.receive()
	return w, nil
}

func (w *RouteWatch) receive() {
	defer close(w.done)
	for {
		messages, _, err := w.socket.Receive()
		now := time.Now()
		if err != nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			if !errors.Is(err, os.ErrClosed) {
				w.err = fmt.Errorf("watch the router's routes: %w", err)
			}
			return
		}
		for _, m := range messages {
			change, ok := parseRouteChange(m.Header.Type, m.Data)
			if !ok || !slices.Contains(w.vips, change.Prefix) {
				continue
			}
			change.At = now
			w.mu.Lock()
			w.changes = append(w.changes, change)
			w.mu.Unlock()
		}
	}
}

// Changes returns what was seen so far, oldest first.
func (w *RouteWatch) Changes() ([]RouteChange, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.changes), w.err
}

// first returns the first change of the prefix at or after a moment after which
// it had one next hop, or none. A router that adds the new one before it removes
// the old one has moved the prefix when it has done both.
func (w *RouteWatch) first(prefix netip.Prefix, since time.Time) (RouteChange, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.changes {
		if c.Prefix == prefix && !c.Several && !c.At.Before(since) {
			return c, true
		}
	}
	return RouteChange{}, false
}

// Close ends the watch.
func (w *RouteWatch) Close() {
	w.socket.Close()
	<-w.done
}

// parseRouteChange reads a message of rtnetlink(7); false if it is not about a
// route of the main table.
func parseRouteChange(kind uint16, data []byte) (RouteChange, bool) {
	if kind != unix.RTM_NEWROUTE && kind != unix.RTM_DELROUTE || len(data) < unix.SizeofRtMsg {
		return RouteChange{}, false
	}
	message := nl.DeserializeRtMsg(data)
	attributes, err := nl.ParseRouteAttr(data[unix.SizeofRtMsg:])
	if err != nil {
		return RouteChange{}, false
	}
	change := RouteChange{Removed: kind == unix.RTM_DELROUTE}
	table := uint32(message.Table)
	for _, a := range attributes {
		switch a.Attr.Type {
		case unix.RTA_TABLE:
			table = nl.NativeEndian().Uint32(a.Value)
		case unix.RTA_DST:
			if address, ok := netip.AddrFromSlice(a.Value); ok {
				change.Prefix = netip.PrefixFrom(address, int(message.Dst_len))
			}
		case unix.RTA_MULTIPATH:
			change.Several = true
		case unix.RTA_GATEWAY:
			change.Via, _ = netip.AddrFromSlice(a.Value)
		}
	}
	return change, table == unix.RT_TABLE_MAIN
}
