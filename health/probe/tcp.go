package probe

import "time"

// A tcpCheck connects to a port, and resets the connection once the server's
// kernel has agreed to it: its process need not even hear of it.
type tcpCheck struct {
	sockets *sockets
	port    uint16
	timeout time.Duration
}

func (c *tcpCheck) run(l *leash, a aim) error {
	conn, err := c.sockets.dial(l, a, c.port, time.Now(), c.timeout, true)
	if err != nil {
		return err
	}
	defer conn.close()
	return conn.waitConnected()
}

func (c *tcpCheck) close() {}
