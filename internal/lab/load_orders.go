package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// MaxEstablished bounds the established connections of one load: each VIP may
// have 64,000 from one address, and each server must hold all of them.
const MaxEstablished = 50_000

// An order tells the generator's process to change how many connections it
// keeps: a line of JSON on its stdin.
type order struct {
	Open   int           `json:"open,omitempty"`   // so many more
	Finish string        `json:"finish,omitempty"` // close those that were opened to this server
	Over   time.Duration `json:"over,omitempty"`   // evenly over this time, ns
}

// readOrders hands orders on until stdin or ctx ends; any end means stop.
func readOrders(ctx context.Context, stdin io.Reader, orders chan<- order) error {
	lines := json.NewDecoder(stdin)
	for {
		var o order
		err := lines.Decode(&o)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the load's orders: %w", err)
		}
		select {
		case orders <- o:
		case <-ctx.Done():
			return nil
		}
	}
}

// Establish opens n more established connections, spread over the VIPs that
// get requests, and returns when each has had its first answer. From then on
// each makes a request every one to two seconds. One that breaks is opened
// again after such a time, wherever its VIP's traffic goes by then.
func (l *Load) Establish(ctx context.Context, n int) error {
	if n == 0 {
		return nil
	}
	l.mu.Lock()
	l.wanted += n
	wanted := l.wanted
	l.mu.Unlock()
	if wanted > MaxEstablished {
		return fmt.Errorf("open %d established connections: at most %d are possible", wanted, MaxEstablished)
	}
	if err := l.send(order{Open: n}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout+time.Duration(n)*time.Second/openRate)
	defer cancel()
	err := l.poll(ctx, 5*time.Millisecond, fmt.Sprintf("%d established connections", n), func() bool {
		return l.ledger.opened >= wanted
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && l.ledger.failure != OK {
		return fmt.Errorf("%w; %d of %d were opened, and the last that was not met: %s", err, l.ledger.opened, wanted, l.ledger.failure)
	}
	return err
}

// Finish closes the established connections that were opened to a server, in
// peace and evenly over a time, and returns when the last is closed.
func (l *Load) Finish(ctx context.Context, server string, over time.Duration) error {
	if err := l.send(order{Finish: server, Over: over}); err != nil {
		return err
	}
	return l.poll(ctx, 5*time.Millisecond, "the end of the connections to "+server, func() bool {
		return l.ledger.servers[index(l.servers, []byte(server))] == 0
	})
}

// Established returns how many established connections there are now that
// were opened to the server.
func (l *Load) Established(server string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ledger.servers[index(l.servers, []byte(server))]
}

func (l *Load) send(o order) error {
	line, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if _, err := l.stdin.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("give the load an order: %w; %s", err, l.process.lastWords())
	}
	return nil
}

// poll waits until the samples so far say that it is done.
func (l *Load) poll(ctx context.Context, every time.Duration, what string, done func() bool) error {
	return poll(ctx, every, what, func() (bool, error) {
		if !l.process.running() {
			return false, fmt.Errorf("the load ended; %s", l.process.lastWords())
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		return done(), nil
	})
}
