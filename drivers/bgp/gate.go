package bgp

import (
	"sync"
	"time"
)

// longestWait bounds how long a session's sender is held up: its keepalives
// wait, too.
const longestWait = 100 * time.Millisecond

// A gate holds up those who send UPDATEs while the server is being handed a
// batch of paths, which it does one by one, so that what they find then fills
// UPDATEs instead of trickling into thousands. The zero gate is open.
//
// The server has no such means. But it logs every UPDATE that it has sent, in the
// goroutine that sends, and our log is where that goroutine can be made to wait.
type gate struct {
	mu   sync.Mutex
	open chan struct{} // closed when it opens; nil if it is open
}

// shut shuts the gate, until the function it returns is called. One goroutine
// shuts.
func (g *gate) shut() (open func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	opened := make(chan struct{})
	g.open = opened
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.open = nil
		close(opened)
	}
}

// pass waits while the gate is shut, but not for long.
func (g *gate) pass() {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	if open == nil {
		return
	}
	timer := time.NewTimer(longestWait)
	defer timer.Stop()
	select {
	case <-open:
	case <-timer.C:
	}
}
