package probe

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// A dnsCheck asks one name server one question, each time on a socket of its own.
type dnsCheck struct {
	sockets *sockets
	spec    topology.DNS
	timeout time.Duration
	want    dnsAnswer
	in      []byte
}

func newDNSCheck(s *sockets, spec topology.DNS, timeout time.Duration) *dnsCheck {
	return &dnsCheck{sockets: s, spec: spec, timeout: timeout, want: newDNSAnswer(spec), in: make([]byte, 512)}
}

func (c *dnsCheck) run(l *leash, a aim) error {
	dial, ask := c.sockets.dialUDP, c.askByUDP
	if c.spec.TCP {
		dial, ask = c.sockets.dial, c.askByTCP
	}
	conn, err := dial(l, a, c.spec.Port, time.Now(), c.timeout)
	if err != nil {
		return err
	}
	err = ask(l, conn, uint16(rand.Uint32()))
	l.release(conn.file)
	conn.end()
	return err
}

// askByUDP passes over what is no answer to the question: it may be a late one
// to an earlier question, or anybody's.
func (c *dnsCheck) askByUDP(l *leash, conn *conn, id uint16) error {
	if _, err := conn.Write(c.want.query(id)); err != nil {
		return conn.judge(l, err, awaitingAnswer)
	}
	for {
		n, err := conn.Read(c.in)
		if err != nil {
			return conn.judge(l, err, awaitingAnswer)
		}
		if ours, err := c.want.judge(id, c.in[:n]); ours {
			return err
		}
	}
}

// askByTCP sends and reads a message with its length before it: RFC 1035,
// section 4.2.2.
func (c *dnsCheck) askByTCP(l *leash, conn *conn, id uint16) error {
	query := c.want.query(id)
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)); err != nil {
		return conn.judge(l, err, "sending the query")
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return conn.judge(l, err, "waiting for the answer")
	}
	if n := int(binary.BigEndian.Uint16(length[:])); n > len(c.in) {
		c.in = make([]byte, n)
	}
	message := c.in[:binary.BigEndian.Uint16(length[:])]
	if _, err := io.ReadFull(conn, message); err != nil {
		return conn.judge(l, err, "reading the answer")
	}
	ours, err := c.want.judge(id, message)
	if !ours {
		return failf("it answers another question")
	}
	return err
}

func (c *dnsCheck) close() {}
