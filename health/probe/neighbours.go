package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A neighbours listens to what the kernel finds out about the Ethernet addresses
// of servers, and has it find out sooner.
//
// By itself the kernel takes half a minute to notice that a neighbour has gone
// (arp(7)). Put into NUD_PROBE, it asks three times, retrans_time_ms apart, one
// second by default: 3.1 s until NUD_FAILED, and 0.3 s where the operator has
// set net.ipv4.neigh.IFACE.retrans_time_ms (and ipv6) to 100. That gains nothing
// over an echo each 200 ms, but much where echo is filtered or off, or slow.
type neighbours struct {
	log      *slog.Logger
	file     *os.File // the kernel's news
	requests int      // a netlink socket, which only tend uses
	links    *links
	alive    *alive
	doubts   chan netip.Addr // addresses to look for
}

// doubtsAtOnce is how many addresses may wait to be looked for. More are not
// worth it: then it is not the server.
const doubtsAtOnce = 64

// newNeighbours subscribes in the namespace that s opens sockets in.
func newNeighbours(s *sockets, log *slog.Logger, a *alive, l *links) (*neighbours, error) {
	news, err := openNeighbourNews(s)
	if err != nil {
		return nil, err
	}
	requests, err := s.open(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open netlink: %w", err), unix.Close(news))
	}
	n := &neighbours{
		log: log, file: os.NewFile(uintptr(news), "neighbours"), requests: requests, links: l, alive: a,
		doubts: make(chan netip.Addr, doubtsAtOnce),
	}
	return n, nil
}

func openNeighbourNews(s *sockets) (int, error) {
	fd, err := s.open(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, fmt.Errorf("open netlink: %w", err)
	}
	// The filter first: a busy router has news of neighbours all the time.
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, onlyFailed()); err != nil {
		return -1, errors.Join(fmt.Errorf("filter news of neighbours: %w", err), unix.Close(fd))
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.RTNLGRP_NEIGH - 1)}); err != nil {
		return -1, errors.Join(fmt.Errorf("subscribe to news of neighbours: %w", err), unix.Close(fd))
	}
	return fd, nil
}

// Where things are in a neighbour message: struct nlmsghdr, struct ndmsg.
const (
	neighbourTypeAt  = 4
	neighbourStateAt = unix.SizeofNlMsghdr + 8
	sizeofNdmsg      = 12
)

// onlyFailed is a filter program that lets nothing through but RTM_NEWNEIGH with
// the state NUD_FAILED. It reads big-endian what the kernel wrote in its own order.
func onlyFailed() *unix.SockFprog {
	swapped := func(v uint16) uint32 {
		return uint32(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, v)))
	}
	const loadHalf, ifEqual, ifAny, end = unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ, unix.BPF_JMP | unix.BPF_JSET, unix.BPF_RET
	program := []unix.SockFilter{
		{Code: loadHalf, K: neighbourTypeAt},
		{Code: ifEqual, K: swapped(unix.RTM_NEWNEIGH), Jf: 3},
		{Code: loadHalf, K: neighbourStateAt},
		{Code: ifAny, K: swapped(unix.NUD_FAILED), Jf: 1},
		{Code: end, K: 1<<32 - 1},
		{Code: end, K: 0},
	}
	return &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
}

// run listens until stop. Whatever goes wrong, it goes on listening.
func (n *neighbours) run(ctx context.Context) {
	buffer := make([]byte, 16<<10)
	failing := false
	for {
		length, err := n.file.Read(buffer)
		switch {
		case errors.Is(err, os.ErrClosed):
			return
		case err == nil:
			n.hear(buffer[:length])
			failing = false
			continue
		case !errors.Is(err, unix.ENOBUFS):
			if !failing {
				n.log.Error("reading news of neighbours failed: trying again", "err", err, "every", retryLinks)
			}
			failing = true
			pause(ctx, retryLinks)
		}
		n.askAll()
	}
}

// hear takes in news of the kernel's own. What a program asked for, as `ip neigh
// flush` does, carries that program's number and says nothing about a server.
func (n *neighbours) hear(raw []byte) {
	messages, err := syscall.ParseNetlinkMessage(raw)
	if err != nil {
		return // cannot be: the kernel wrote it
	}
	for _, m := range messages {
		address, link, state := parseNeighbour(m)
		if m.Header.Pid == 0 && state&unix.NUD_FAILED != 0 && n.links.leadsTo(link, address) {
			n.alive.neighbourFailed(address)
		}
	}
}

// askAll makes up for news that did not come: whoever is still gone fails again.
func (n *neighbours) askAll() {
	for _, address := range n.links.addresses() {
		n.doubt(address)
	}
}

// doubt has an address looked for. It never waits.
func (n *neighbours) doubt(address netip.Addr) {
	select {
	case n.doubts <- address:
	default:
	}
}

// unseenPause is how often lost addresses that echo cannot find are looked for.
const unseenPause = time.Second

// tend looks for addresses in doubt, and for lost ones, until ctx is done.
func (n *neighbours) tend(ctx context.Context) {
	again := time.NewTicker(unseenPause)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case address := <-n.doubts:
			n.probe(address)
		case <-again.C:
			for _, address := range n.alive.unseen() {
				n.seek(address)
			}
		}
	}
}

// probe has the kernel find out whether an address that it knows is still there.
// What it has failed to find already counts now; what an operator has made
// permanent is left alone.
func (n *neighbours) probe(address netip.Addr) {
	link := n.links.leading(address)
	if link == 0 {
		return
	}
	switch state := n.state(address, link); {
	case state&unix.NUD_FAILED != 0:
		n.alive.neighbourFailed(address)
	case state&(unix.NUD_REACHABLE|unix.NUD_STALE|unix.NUD_DELAY) != 0:
		n.set(address, link, unix.NUD_PROBE, 0)
	}
}

// seek has the kernel look for a lost address, or notes that it has found it.
func (n *neighbours) seek(address netip.Addr) {
	link := n.links.leading(address)
	if link == 0 {
		return
	}
	if n.state(address, link)&unix.NUD_REACHABLE != 0 {
		n.alive.neighbourFound(address)
		return
	}
	n.set(address, link, unix.NUD_NONE, unix.NTF_USE)
}

// stop makes run return.
func (n *neighbours) stop() { _ = n.file.Close() }

// close frees what is left when run and tend have returned.
func (n *neighbours) close() { _ = unix.Close(n.requests) }

// state asks the kernel for a neighbour's state; NUD_NONE if it knows none.
func (n *neighbours) state(address netip.Addr, link int) uint16 {
	answer := make([]byte, 1<<10)
	if err := n.send(unix.RTM_GETNEIGH, 0, address, link, 0, 0); err != nil {
		return unix.NUD_NONE
	}
	// The kernel has answered when sending returns; older answers come first.
	state := uint16(unix.NUD_NONE)
	for {
		length, _, err := unix.Recvfrom(n.requests, answer, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return state
		}
		if messages, err := syscall.ParseNetlinkMessage(answer[:length]); err == nil {
			for _, m := range messages {
				if found, index, s := parseNeighbour(m); found == address.WithZone("") && index == link {
					state = s
				}
			}
		}
	}
}

// set changes a neighbour's state, and never its Ethernet address. Without
// NLM_F_CREATE and NLM_F_REPLACE, one that has gone or is new is left as it is.
// What fails needs no mention: the next doubt tries again.
func (n *neighbours) set(address netip.Addr, link int, state uint16, flags uint8) {
	create := uint16(0)
	if flags&unix.NTF_USE != 0 {
		create = unix.NLM_F_CREATE
	}
	_ = n.send(unix.RTM_NEWNEIGH, create, address, link, state, flags)
}

// send sends one request about one neighbour.
func (n *neighbours) send(kind, flags uint16, address netip.Addr, link int, state uint16, use uint8) error {
	family := byte(unix.AF_INET6)
	if address.Is4() {
		family = unix.AF_INET
	}
	ne := binary.NativeEndian
	body := ne.AppendUint32([]byte{family, 0, 0, 0}, uint32(link))
	body = append(ne.AppendUint16(body, state), use, 0)
	value := address.AsSlice()
	body = ne.AppendUint16(body, uint16(unix.SizeofRtAttr+len(value)))
	body = append(ne.AppendUint16(body, unix.NDA_DST), value...)
	message := ne.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	message = ne.AppendUint16(message, kind)
	message = ne.AppendUint16(message, flags|unix.NLM_F_REQUEST)
	message = append(message, make([]byte, 8)...) // sequence and port: nobody compares them
	return unix.Sendto(n.requests, append(message, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// parseNeighbour reads RTM_NEWNEIGH; the zero Addr for another message.
func parseNeighbour(m syscall.NetlinkMessage) (address netip.Addr, link int, state uint16) {
	if m.Header.Type != unix.RTM_NEWNEIGH || len(m.Data) < sizeofNdmsg {
		return netip.Addr{}, 0, 0
	}
	info := (*unix.NdMsg)(unsafe.Pointer(&m.Data[0]))
	for rest := m.Data[sizeofNdmsg:]; len(rest) >= unix.SizeofRtAttr; {
		length := int(binary.NativeEndian.Uint16(rest))
		if length < unix.SizeofRtAttr || length > len(rest) {
			break
		}
		if binary.NativeEndian.Uint16(rest[2:]) == unix.NDA_DST {
			address, _ = netip.AddrFromSlice(rest[unix.SizeofRtAttr:length])
		}
		rest = rest[min((length+3)&^3, len(rest)):]
	}
	return address, int(info.Ifindex), info.State
}
