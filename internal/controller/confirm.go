package controller

import (
	"context"
	"time"
)

const (
	confirmWait = 30 * time.Second // default of TimeoutMs
	confirmMost = 10 * time.Minute
)

// A waiter waits until every router has confirmed an order.
type waiter struct {
	seq  uint64
	done chan struct{}
}

// confirmation returns a waiter for the latest order.
func (c *Controller) confirmation() *waiter {
	w := &waiter{seq: c.seq, done: make(chan struct{})}
	c.waiters[w] = true
	c.wake()
	return w
}

// wake ends the waits that are over.
func (c *Controller) wake() {
	for w := range c.waiters {
		if c.confirmed(w.seq) {
			close(w.done)
			delete(c.waiters, w)
		}
	}
}

func (c *Controller) confirmed(seq uint64) bool {
	for _, r := range c.routers {
		if r.confirmed < seq {
			return false
		}
	}
	return true
}

// waitFor waits until w is confirmed, the time is over, or nobody asks any
// more.
func (c *Controller) waitFor(ctx context.Context, w *waiter, timeoutMs int64) {
	limit := confirmWait
	if timeoutMs > 0 {
		limit = time.Duration(min(timeoutMs, confirmMost.Milliseconds())) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case <-w.done:
	case <-ctx.Done():
	case <-c.stopped:
	}
}
