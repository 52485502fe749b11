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
	quiet   atomic.Bool // checks by it heard nothing lately
	failed  atomic.Bool // the kernel found no Ethernet address for it, and no sign of life came since

	// Guarded by the pinger's lock:
	slot       uint32
	sent       uint32    // how many echoes
	since      uint32    // replies to echoes up to this one say nothing about now
	sentAt     time.Time // the newest echo
	unanswered int       // echoes sent after the last reply came
	asked      bool      // the kernel was asked to look for it, and no sign of life came since
}

// answers reports whether echo says that the address is well.
func (p *presence) answers() bool { return p.found.Load() && !p.lost.Load() }
