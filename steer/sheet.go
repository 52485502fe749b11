package steer

import (
	"slices"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// A sheet notes verdicts while a decision is made, which asks for each several
// times: looking one up costs more than all else that is done with it. A nil
// sheet notes nothing.
type sheet []noted

// A noted verdict is one more than it, or 0 for one that was not asked for, and
// whether the server asks for no new traffic, or a part of its share.
type noted uint8

const leaves, partly noted = 0x80, 0x40

func newSheet(cohorts *Cohorts) sheet { return make(sheet, cohorts.seats) }

// look returns what is noted of a server as the cohort sees it, or asks.
func (s sheet) look(name topology.ServerName, cohort *Cohort, ask func() health.State) noted {
	if s == nil {
		return note(ask())
	}
	return s.lookAt(cohort.seat(name), ask)
}

// lookAt is look for a seat; -1 for none.
func (s sheet) lookAt(seat int, ask func() health.State) noted {
	if s == nil || seat < 0 {
		return note(ask())
	}
	if s[seat] == 0 {
		s[seat] = note(ask())
	}
	return s[seat]
}

func note(state health.State) noted {
	n := noted(state.Verdict) + 1
	if state.Word.Leave {
		n |= leaves
	} else if !state.Word.Whole() {
		n |= partly
	}
	return n
}

// eligible reports whether the server is up, and does not ask for no new traffic.
func (n noted) eligible() bool { return n.verdict() == health.Up && n&leaves == 0 }

// whole reports whether the server is up, and asks for no less than its share.
func (n noted) whole() bool { return n.eligible() && n&partly == 0 }

func (n noted) verdict() health.Verdict { return health.Verdict(n&^(leaves|partly) - 1) }

// seat is the server's place on a sheet; -1 if it is in no tier.
func (c *Cohort) seat(name topology.ServerName) int {
	seat := c.first
	for _, tier := range c.Tiers {
		if at, known := slices.BinarySearch(tier.Servers, name); known {
			return seat + at
		}
		seat += len(tier.Servers)
	}
	return -1
}
