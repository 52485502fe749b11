package probe

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// maxAgentLine is how long an agent's answer may be.
const maxAgentLine = 1024

// An agentCheck asks one agent for its line, each time on a connection of its own.
type agentCheck struct {
	sockets *sockets
	spec    topology.Agent
	timeout time.Duration
	in      [maxAgentLine]byte
	last    remark
}

func (c *agentCheck) run(l *leash, a aim) error {
	c.last = remark{}
	conn, err := c.sockets.dial(l, a, c.spec.Port, time.Now(), c.timeout)
	if err != nil {
		return err
	}
	line, err := c.ask(conn)
	if err != nil {
		err = conn.judge(l, err, "waiting for the agent's line")
	}
	l.release(conn.file)
	conn.end()
	if err != nil {
		return err
	}
	answer := parseAgent(line)
	c.last.said = answer.said
	if answer.failure != "" {
		return failf("%s", answer.failure)
	}
	return nil
}

// ask returns the first line that the agent says. The end of the connection ends
// a line, too.
func (c *agentCheck) ask(conn *conn) ([]byte, error) {
	if _, err := io.WriteString(conn, c.spec.Send); err != nil {
		return nil, err
	}
	for have := 0; have < len(c.in); {
		n, err := conn.Read(c.in[have:])
		have += n
		if end := bytes.IndexAny(c.in[:have], "\r\n"); end >= 0 {
			return c.in[:end], nil
		}
		if errors.Is(err, io.EOF) && have > 0 {
			return c.in[:have], nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, failf("the agent's line has more than %d bytes", maxAgentLine)
}

func (c *agentCheck) remark() remark { return c.last }

func (c *agentCheck) close() {}
