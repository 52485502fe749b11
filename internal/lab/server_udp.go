package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// Sizes for both ends of the UDP stream.
const (
	udpBatch   = 64       // packets for each system call
	udpRequest = 16       // bytes: sequence number and nonce
	udpMax     = 64       // bytes: the longest packet, with the server's name
	udpBuffer  = 20 << 20 // bytes: what 50,000 packets/s pile up in a second while a process is not scheduled
)

// An echo answers UDP packets with their own bytes and the server's name.
type echo struct {
	name string
	conn net.PacketConn
	pc   batcher
}

func listenEcho(name string, family Family) (*echo, error) {
	conn, err := listenUDP(family, udpPort)
	if err != nil {
		return nil, fmt.Errorf("serve UDP: %w", err)
	}
	e := &echo{name: name, conn: conn, pc: batches(conn, family)}
	// Packets come to one of many VIPs, and the answer must come from the same.
	switch pc := e.pc.(type) {
	case *ipv4.PacketConn:
		err = pc.SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true)
	case *ipv6.PacketConn:
		err = pc.SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serve UDP: %w", err), conn.Close())
	}
	return e, nil
}

func (e *echo) close() error { return e.conn.Close() }

// answerAll echoes until the socket is closed.
func (e *echo) answerAll() {
	messages := udpMessages()
	for i := range messages {
		messages[i].OOB = make([]byte, unix.CmsgSpace(unix.SizeofInet6Pktinfo)) // the longer of two
	}
	for {
		n, err := e.pc.ReadBatch(messages, 0)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			e.answer(messages[:n])
		}
		reset(messages)
	}
}

// answer sends packets back where they came from. Their control message,
// IP_PKTINFO or IPV6_PKTINFO, reads as "came to this address" and is understood
// as "send from this address" (ip(7), ipv6(7)), so it goes back as it is.
func (e *echo) answer(messages []ipv4.Message) {
	for i := range messages {
		m := &messages[i]
		n := m.N + copy(m.Buffers[0][m.N:udpMax], e.name)
		m.Buffers[0], m.OOB = m.Buffers[0][:n], m.OOB[:m.NN]
	}
	for len(messages) > 0 {
		n, err := e.pc.WriteBatch(messages, 0)
		if err != nil {
			n = 1 // the first one cannot be sent: its sender will count it as lost
		}
		messages = messages[n:]
	}
}

func udpMessages() []ipv4.Message {
	messages := make([]ipv4.Message, udpBatch)
	for i := range messages {
		messages[i].Buffers = [][]byte{make([]byte, udpMax)}
	}
	return messages
}

// reset makes messages ready to receive into.
func reset(messages []ipv4.Message) {
	for i := range messages {
		m := &messages[i]
		m.Buffers[0], m.OOB = m.Buffers[0][:udpMax], m.OOB[:cap(m.OOB)]
	}
}

// batches gives the connection the calls for many packets at once.
func batches(conn net.PacketConn, family Family) batcher {
	if family == IPv6 {
		return ipv6.NewPacketConn(conn)
	}
	return ipv4.NewPacketConn(conn)
}

// listenUDP opens a UDP socket that holds a second of a busy stream.
func listenUDP(family Family, port int) (net.PacketConn, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			// Without the right to force it, the kernel's limit applies; then a long
			// stall of the machine may lose packets, and the report will say late.
			for _, option := range []int{unix.SO_RCVBUFFORCE, unix.SO_SNDBUFFORCE} {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, udpBuffer)
			}
		})
	}}
	return config.ListenPacket(context.Background(), family.network("udp"), fmt.Sprintf(":%d", port))
}
