// Package control is the operator's door to a running controller: HTTP and
// JSON over a Unix socket.
//
// Listen makes the socket, Serve answers on it for an api.Operator, by the
// paths and types of package api; Handler is what it answers with, for others who
// listen elsewhere. Package client is the other side.
//
// A failure is an api.Error with a fitting HTTP status; in the middle of a
// stream of events it is a last line {"error": …}. Who may talk to a
// controller is decided by the socket's owner, group and mode alone, and who
// did is taken from the kernel, never from what the peer says.
package control

import "time"

// Limits that keep us from being held or filled by the other side.
const (
	maxBody   = 64 << 10 // of a request
	maxHeader = 16 << 10

	headerTimeout   = 5 * time.Second  // a request's header arrives within it
	bodyTimeout     = 5 * time.Second  // and its body
	writeTimeout    = 10 * time.Second // one write; a stream is many writes
	idleTimeout     = time.Minute
	shutdownTimeout = 3 * time.Second
	dialTimeout     = 2 * time.Second  // of asking whether another controller is there
	keepAlive       = 15 * time.Second // a blank line when a stream has nothing else to say
)
