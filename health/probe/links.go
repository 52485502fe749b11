package probe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// auditPause is how often paths are looked at without a cause.
const auditPause = 5 * time.Second

// retryLinks is the pause after an error that the kernel is not known to give.
const retryLinks = time.Second

// A links listens to the kernel's news of links, addresses and policy rules.
// A link that goes down takes the addresses reached over it along; any news
// makes the paths be looked at again.
type links struct {
	log    *slog.Logger
	file   *os.File
	handle *netlink.Handle // used by run's goroutine and, under mu, by set
	alive  *alive
	audit  func() // asks for an audit of the paths; never waits

	mu   sync.Mutex // held over netlink calls: guards the handle too
	via  map[netip.Addr]int
	want []netip.Addr
	up   map[int]linkState
}

type linkState struct {
	name string
	up   bool
}

// newLinks subscribes in the namespace of the calling thread. The subscription
// is our own: netlink v1.3.1's ends at the first overflow.
func newLinks(s *sockets, log *slog.Logger, a *alive, audit func()) (*links, error) {
	fd, err := s.open(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	groups := uint32(0)
	for _, group := range []int{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE} {
		groups |= 1 << (group - 1)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return nil, errors.Join(fmt.Errorf("subscribe to link news: %w", err), unix.Close(fd))
	}
	// The default of 208 KiB overflows on a router with many links; without the
	// right to force it, an overflow costs a full look.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20)
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open netlink: %w", err), unix.Close(fd))
	}
	l := &links{
		log: log, file: os.NewFile(uintptr(fd), "links"), handle: handle, alive: a, audit: audit,
		via: map[netip.Addr]int{}, up: map[int]linkState{},
	}
	if err := l.lookAtAll(); err != nil {
		l.stop()
		l.close()
		return nil, err
	}
	return l, nil
}

// set changes the addresses that matter.
func (l *links) set(addresses []netip.Addr) {
	l.mu.Lock()
	l.want = addresses
	via := map[netip.Addr]int{}
	for _, address := range addresses {
		if index, ok := l.via[address]; ok {
			via[address] = index
		}
	}
	l.via = via
	l.mu.Unlock()
	l.locate()
}

// locate notes which link leads directly to each address. Where the kernel
// knows none now, the one that did last stays: its link is down. What another
// link leads to now is back: a link that is made anew has another index.
func (l *links) locate() {
	l.mu.Lock()
	var moved []netip.Addr
	for _, address := range l.want {
		routes, err := l.handle.RouteGet(address.AsSlice())
		if err != nil || len(routes) != 1 {
			continue
		}
		link := routes[0].LinkIndex
		if routes[0].Gw == nil && routes[0].Via == nil && l.up[link].up && l.via[address] != link {
			l.via[address] = link
			moved = append(moved, address)
		}
	}
	l.mu.Unlock()
	l.alive.linkUp(moved)
}

// leading is the link that leads directly to an address; 0 if none is known, or
// it is down.
func (l *links) leading(address netip.Addr) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if index := l.via[address]; l.up[index].up {
		return index
	}
	return 0
}

// leadsTo reports whether that is the link.
func (l *links) leadsTo(index int, address netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return address.IsValid() && l.via[address] == index
}

// addresses are those that matter.
func (l *links) addresses() []netip.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.want
}

// behind are the addresses reached over a link. It needs mu.
func (l *links) behind(index int) (addresses []netip.Addr) {
	for address, via := range l.via {
		if via == index {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// run listens until stop. Whatever goes wrong, it goes on listening.
func (l *links) run(ctx context.Context) {
	buffer := make([]byte, 64<<10)
	failing := false
	for {
		n, err := l.file.Read(buffer)
		switch {
		case errors.Is(err, os.ErrClosed):
			return
		case err == nil:
			l.hear(buffer[:n])
		case errors.Is(err, unix.ENOBUFS):
			l.lookAgain("more news of links than fit the buffer")
		default:
			if !failing {
				l.log.Error("reading news of links failed: trying again", "err", err, "every", retryLinks)
			}
			failing = true
			l.lookAgain("no news of links")
			pause(ctx, retryLinks)
			continue
		}
		if failing {
			l.log.Info("news of links is read again")
			failing = false
		}
	}
}

// pause waits, but not longer than ctx.
func pause(ctx context.Context, long time.Duration) {
	over, done := context.WithTimeout(ctx, long)
	<-over.Done()
	done()
}

// lookAgain makes up for news that did not come.
func (l *links) lookAgain(why string) {
	if err := l.lookAtAll(); err != nil {
		l.log.Warn("links not seen", "reason", why, "err", err)
	}
	l.locate()
	l.audit()
}

// hear takes in news. Losses come first, then what takes time.
func (l *links) hear(raw []byte) {
	messages, err := syscall.ParseNetlinkMessage(raw)
	if err != nil {
		return // cannot be: the kernel wrote it
	}
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWLINK && m.Header.Type != unix.RTM_DELLINK || len(m.Data) < unix.SizeofIfInfomsg {
			continue
		}
		info := (*unix.IfInfomsg)(unsafe.Pointer(&m.Data[0]))
		if info.Family == unix.AF_BRIDGE {
			continue // a bridge port's settings, not the link's
		}
		l.note(int(info.Index), linkState{name: linkName(m), up: m.Header.Type == unix.RTM_NEWLINK && isUp(info.Flags)})
	}
	l.locate()
	l.audit()
}

// isUp reports whether packets can leave: the operator's wish and the carrier.
func isUp(flags uint32) bool { return flags&unix.IFF_UP != 0 && flags&unix.IFF_LOWER_UP != 0 }

func linkName(m syscall.NetlinkMessage) string {
	attributes, err := syscall.ParseNetlinkRouteAttr(&m)
	if err != nil {
		return ""
	}
	for _, a := range attributes {
		if a.Attr.Type == unix.IFLA_IFNAME {
			return unix.ByteSliceToString(a.Value)
		}
	}
	return ""
}

// note compares a link with how it was, and tells of the difference.
func (l *links) note(index int, now linkState) {
	l.mu.Lock()
	was := l.up[index]
	l.up[index] = now
	addresses := l.behind(index)
	l.mu.Unlock()
	switch {
	case was.up && !now.up:
		l.alive.linkDown(addresses, now.name)
	case !was.up && now.up:
		l.alive.linkUp(addresses)
	}
}

// lookAtAll lists all links, as at the start and after an overflow.
func (l *links) lookAtAll() error {
	l.mu.Lock()
	all, err := l.handle.LinkList()
	gone := map[int]linkState{}
	for index, state := range l.up {
		gone[index] = state
	}
	l.mu.Unlock()
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	for _, link := range all {
		a := link.Attrs()
		delete(gone, a.Index)
		l.note(a.Index, linkState{name: a.Name, up: isUp(a.RawFlags)})
	}
	for index, state := range gone {
		l.note(index, linkState{name: state.name})
	}
	return nil
}

// stop makes run return.
func (l *links) stop() { _ = l.file.Close() }

// close frees what is left when run has returned.
func (l *links) close() { l.handle.Close() }
