package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// Sizes for both ends of the UDP stream.
const (
	udpBatch   = 64      // packets for each system call
	udpRequest = 16      // bytes: sequence number and nonce
	udpMax     = 64      // bytes: the longest packet, with the server's name
	udpBuffer  = 4 << 20 // bytes: what piles up while a process is not scheduled
)

// An echo answers UDP packets with their own bytes and the server's name.
type echo struct {
	name string
	conn net.PacketConn
	pc   *ipv4.PacketConn
}

func listenEcho(name string) (*echo, error) {
	conn, err := listenUDP(fmt.Sprintf(":%d", udpPort))
	if err != nil {
		return nil, fmt.Errorf("serve UDP: %w", err)
	}
	pc := ipv4.NewPacketConn(conn)
	// Packets come to one of many VIPs, and the answer must come from the same.
	if err := pc.SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true); err != nil {
		return nil, errors.Join(fmt.Errorf("serve UDP: %w", err), conn.Close())
	}
	return &echo{name: name, conn: conn, pc: pc}, nil
}

func (e *echo) close() error { return e.conn.Close() }

// answerAll echoes until the socket is closed.
func (e *echo) answerAll() {
	messages := udpMessages()
	for i := range messages {
		messages[i].OOB = make([]byte, unix.CmsgSpace(unix.SizeofInet4Pktinfo))
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
// IP_PKTINFO, reads as "came to this address" and is understood as "send from
// this address" (ip(7)), so it goes back as it is.
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

// listenUDP opens a UDP socket that holds a second of a busy stream.
func listenUDP(address string) (net.PacketConn, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			// Without the right to force it, the kernel's limit applies; then a long
			// stall of the machine may lose packets, and the report will say late.
			for _, option := range []int{unix.SO_RCVBUFFORCE, unix.SO_SNDBUFFORCE} {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, udpBuffer)
			}
		})
	}}
	return config.ListenPacket(context.Background(), "udp4", address)
}
