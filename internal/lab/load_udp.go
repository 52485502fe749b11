package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
)

const (
	// udpTick is how often packets are sent, those that are due at once.
	udpTick = time.Millisecond
	// udpHaste bounds how much faster than its rate the stream is when it catches
	// up after a stall: the kernel's queues between devices hold 1,000 packets.
	udpHaste = 4
)

// A udpLoad sends packets at an even rate and expects each back within a
// second, with the nonce it was sent with.
type udpLoad struct {
	clock
	plan  loadPlan
	conn  net.PacketConn
	pc    batcher
	peers []net.Addr
	salt  uint64

	mu      sync.Mutex
	pending []datagram // a ring, by sequence number; as long as two seconds of the rate
	oldest  int        // sequence number: everything before is decided
	next    int        // sequence number of the next packet
	out     []byte     // encoded samples
}

// A datagram is one packet under way.
type datagram struct {
	sent, late time.Duration
	decided    bool
}

func newUDPLoad(plan loadPlan) (*udpLoad, error) {
	// Not connected: a refused packet must not stop the next one from being sent.
	conn, err := listenUDP(plan.family(), 0)
	if err != nil {
		return nil, fmt.Errorf("open the load's UDP socket: %w", err)
	}
	c := newClock()
	l := &udpLoad{clock: c, plan: plan, conn: conn, pc: batches(conn, plan.family()), salt: uint64(c.base.UnixNano()),
		pending: make([]datagram, 2*plan.udpRate+2*udpBatch)}
	for _, vip := range plan.udpVIPs {
		l.peers = append(l.peers, &net.UDPAddr{IP: plan.vips[vip].AsSlice(), Port: udpPort})
	}
	return l, nil
}

func (l *udpLoad) close() { _ = l.conn.Close() }

// run sends until ctx ends and waits for what is under way.
func (l *udpLoad) run(ctx context.Context, out *sampleWriter) {
	if l.plan.udpRate == 0 {
		return
	}
	var group sync.WaitGroup
	group.Go(l.receive)
	defer group.Wait()
	defer l.close() // ends receive
	tick := time.NewTicker(udpTick)
	defer tick.Stop()
	messages := udpMessages()
	begin := l.now()
	for range tick.C {
		stopping := ctx.Err() != nil
		most := l.next + udpBatch + udpHaste*l.plan.udpRate*int(udpTick)/int(time.Second)
		for !stopping && l.send(messages, begin) && l.next < most {
		}
		left := l.expire()
		out.add(l.take())
		if stopping && left == 0 {
			return
		}
	}
}

// send sends one batch of what is due and reports whether there is more that
// can be sent: after a long stall the ring is full until some have expired.
func (l *udpLoad) send(messages []ipv4.Message, begin time.Duration) bool {
	now := l.now()
	due := int(float64(now-begin) * float64(l.plan.udpRate) / float64(time.Second))
	first, n := l.book(now, begin, min(due, l.next+udpBatch))
	for i := range n {
		b := messages[i].Buffers[0][:udpRequest]
		seq := uint64(first + i)
		binary.BigEndian.PutUint64(b, seq)
		binary.BigEndian.PutUint64(b[8:], mix(l.salt+seq))
		messages[i].Buffers[0], messages[i].Addr = b, l.peers[int(seq)%len(l.peers)]
	}
	for rest := messages[:n]; len(rest) > 0; {
		sent, err := l.pc.WriteBatch(rest, 0)
		if err != nil {
			sent = 1 // this one is not sent, so it will be lost
		}
		rest = rest[sent:]
	}
	return n > 0 && first+n < due
}

// book enters the packets up to sequence number end as sent now.
func (l *udpLoad) book(now, begin time.Duration, end int) (first, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first = l.next
	for ; l.next < end && l.next-l.oldest < len(l.pending); l.next++ {
		due := begin + time.Duration(float64(l.next+1)*float64(time.Second)/float64(l.plan.udpRate))
		l.pending[l.next%len(l.pending)] = datagram{sent: now, late: now - due - udpTick}
	}
	return first, l.next - first
}

// receive takes answers until the socket is closed.
func (l *udpLoad) receive() {
	messages := udpMessages()
	for {
		n, err := l.pc.ReadBatch(messages, 0)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		l.answered(messages[:n])
	}
}

func (l *udpLoad) answered(messages []ipv4.Message) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range messages {
		if m.N < udpRequest {
			continue // not an answer to anything: what it should have answered will be lost
		}
		b := m.Buffers[0][:m.N]
		seq := int(binary.BigEndian.Uint64(b))
		if seq < l.oldest || seq >= l.next || l.pending[seq%len(l.pending)].decided {
			continue // too late, or twice
		}
		server := index(l.plan.servers, b[udpRequest:])
		result := OK
		if server < 0 || binary.BigEndian.Uint64(b[8:]) != mix(l.salt+uint64(seq)) {
			result = Wrong
		}
		l.decide(seq, now, result, server)
	}
}

// expire decides packets that have had their second, and returns how many are
// left under way.
func (l *udpLoad) expire() int {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for ; l.oldest < l.next; l.oldest++ {
		d := &l.pending[l.oldest%len(l.pending)]
		if d.decided {
			continue
		}
		if now-d.sent < answerTimeout {
			break
		}
		l.decide(l.oldest, now, Timeout, -1)
	}
	return l.next - l.oldest
}

// decide records what became of a packet. The caller holds the lock.
func (l *udpLoad) decide(seq int, now time.Duration, result Result, server int) {
	d := &l.pending[seq%len(l.pending)]
	d.decided = true
	if result == OK && now-d.sent > answerTimeout {
		result = Timeout
	}
	s := Sample{Kind: UDP, Result: result, VIP: l.plan.udpVIPs[seq%len(l.peers)], Server: server,
		Start: l.at(d.sent), Took: now - d.sent, Late: max(0, d.late)}
	l.out = s.append(l.out)
}

// take returns the encoded samples so far; the caller uses them at once.
func (l *udpLoad) take() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.out
	l.out = make([]byte, 0, cap(taken))
	return taken
}
