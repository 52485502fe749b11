package iostest

import (
	"net"
	"sync"
	"time"
)

// lastWords is how long a closed connection may take to write what it has.
const lastWords = time.Second

// A buffered connection never blocks a writer. Both sides of SSH begin by
// writing, and would wait for each other on a net.Pipe.
type buffered struct {
	net.Conn
	done chan struct{}

	mu     sync.Mutex
	more   *sync.Cond
	data   []byte
	closed bool
}

func newBuffered(conn net.Conn) *buffered {
	b := &buffered{Conn: conn, done: make(chan struct{})}
	b.more = sync.NewCond(&b.mu)
	go b.copy()
	return b
}

func (b *buffered) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, net.ErrClosed
	}
	b.data = append(b.data, data...)
	b.more.Signal()
	return len(data), nil
}

// Close closes the connection once all is written, or lastWords have passed.
func (b *buffered) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	b.more.Signal()
	return b.SetWriteDeadline(time.Now().Add(lastWords))
}

// copy writes what Write has left until the connection is closed.
func (b *buffered) copy() {
	defer close(b.done)
	defer b.Conn.Close()
	for {
		data, ok := b.take()
		if !ok {
			return
		}
		if _, err := b.Conn.Write(data); err != nil {
			b.fail()
			return
		}
	}
}

// fail makes later writes fail.
func (b *buffered) fail() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

// take waits for data; there is none when the connection is closed and empty.
func (b *buffered) take() ([]byte, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.data) == 0 && !b.closed {
		b.more.Wait()
	}
	data := b.data
	b.data = nil
	return data, len(data) > 0
}
