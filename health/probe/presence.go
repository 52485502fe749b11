package probe

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// A presence is what echo and links know of one server address.
type presence struct {
	server  topology.ServerName
	address netip.Addr
	lost    atomic.Bool // set at a Loss, cleared at a Found
	found   atomic.Bool // echo was answered, ever

	// Guarded by the pinger's lock:
	slot       uint32
	sent       uint32    // how many echoes
	since      uint32    // replies to echoes up to this one say nothing about now
	sentAt     time.Time // the newest echo
	unanswered int       // echoes sent after the last reply came
}

// answers reports whether echo says that the address is well.
func (p *presence) answers() bool { return p.found.Load() && !p.lost.Load() }
