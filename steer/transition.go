package steer

import (
	"net/netip"
	"time"
)

// A Transition is a move of one prefix on one router whose connections have
// not all ended: new ones go where the route goes, those that were there before
// stay where they were.
type Transition struct {
	Prefix   netip.Prefix
	From, To []NextHop // where connections that nobody has heard of yet are taken to be; where new ones go
	Left     []Left    // connections that are elsewhere than at To, sorted by next hops; none is left when empty
	Since    time.Time // when its last move began
	Until    time.Time // when it ends, whoever is left
	Overflow uint64    // connections that there was no room to note: they may have been cut
}

// Left are connections that a transition leaves where they are.
type Left struct {
	At    []NextHop
	Flows int // that sent something lately
}
