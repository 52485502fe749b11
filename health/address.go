package health

import (
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// Echo is what echo requests say of a server address.
type Echo string

const (
	EchoOff      Echo = "off"
	EchoNever    Echo = "never answered" // claims nothing: echo may be filtered
	EchoAnswers  Echo = "answers"
	EchoLost     Echo = "lost"
	EchoFiltered Echo = "filtered" // lost, and yet checks have passed since
)

type echo struct {
	state Echo
	since time.Time
}

// Lost reports whether another address of the server should be its next hop:
// this one is known to be gone, or has never answered echo while another of the
// family does.
func (b *Board) Lost(address netip.Addr) bool { return b.lost[address] || b.silent(address) }

// WellSince is when the address, if it is not Lost, was last found well after
// it had not been; zero if it has been well for as long as anything is known.
func (b *Board) WellSince(address netip.Addr) time.Time { return b.back[address] }

func (b *Board) silent(address netip.Addr) bool {
	if b.echoes[address].state != EchoNever {
		return false
	}
	return slices.ContainsFunc(b.siblings[address], func(other netip.Addr) bool {
		return b.echoes[other].state == EchoAnswers && !b.lost[other]
	})
}

// Echo returns what echo requests say of the server: of its addresses, the
// one that says the most against it.
func (b *Board) Echo(name topology.ServerName) Echo {
	server, ok := b.site.Server(name)
	if !ok || len(server.Addresses) == 0 {
		return EchoOff
	}
	worst := EchoAnswers
	for _, address := range server.Addresses {
		state := b.echoes[address]
		switch state.state {
		case EchoLost:
			if !b.passedSince(name, address, state.since) {
				return EchoLost
			}
			worst = EchoFiltered
		case EchoNever, EchoOff:
			if worst == EchoAnswers {
				worst = state.state
			}
		}
	}
	return worst
}

func (b *Board) passedSince(name topology.ServerName, address netip.Addr, since time.Time) bool {
	server, _ := b.site.Server(name)
	for _, target := range b.targetsOf[name] {
		e := b.entry(target)
		if server.TakesAt(target.VIP.Addr(), address) && e.Verdict == Up && e.Since.After(since) {
			return true
		}
	}
	return false
}

// reached clears the loss of the server's address that a check went by, or of
// all if that is not known, where no echo will: a lost link takes addresses with
// it that never answered one.
//
// A program's exit code says nothing about an address.
func (b *Board) reached(r Result, at time.Time) {
	if b.byProgram(r.Target) {
		return
	}
	server, _ := b.site.Server(r.Target.Server)
	for _, address := range server.AddressesFor(r.Target.VIP.Addr()) {
		if r.Address.IsValid() && r.Address != address {
			continue
		}
		if state := b.echoes[address].state; b.lost[address] && (state == EchoOff || state == EchoNever) {
			delete(b.lost, address)
			b.back[address] = at
		}
	}
}

func (b *Board) byProgram(target Target) bool {
	name := target.Member
	if name == "" {
		vip, _ := b.site.VIP(target.VIP)
		name = vip.Check
	}
	check, _ := b.site.Check(name)
	return check.Script != nil
}

// loss brings down the server's verdicts that the address stood for, unless
// another address of the same family still answers. It only tips them over:
// passing checks that begin later raise them again, so where echo is filtered
// and checks pass, checks win.
func (b *Board) loss(l Loss) []Flip {
	if b.lost[l.Address] {
		return nil
	}
	b.lost[l.Address] = true
	if b.echoes[l.Address].state == EchoAnswers {
		b.echoes[l.Address] = echo{EchoLost, l.At}
	}
	answered := b.echoes[l.Address].state == EchoLost
	for _, other := range b.siblings[l.Address] {
		// One that never answered does not stand in for one that did.
		if !b.lost[other] && (!answered || b.echoes[other].state == EchoAnswers) {
			return nil
		}
	}
	var flips []Flip
	server, _ := b.site.Server(l.Server)
	for _, target := range b.targetsOf[l.Server] {
		if server.TakesAt(target.VIP.Addr(), l.Address) {
			flips = append(flips, b.bringDown(target, b.entry(target), l.At, l.Failure)...)
		}
	}
	slices.SortFunc(flips, func(a, b Flip) int { return a.Target.VIP.Addr().Compare(b.Target.VIP.Addr()) })
	return flips
}

// found takes in addresses of a site that is about to be set, too: the senses
// have it first.
func (b *Board) found(f Found) {
	if b.lost[f.Address] || !f.ByLink {
		b.back[f.Address] = f.At
	}
	delete(b.lost, f.Address)
	if !f.ByLink {
		b.echoes[f.Address] = echo{EchoAnswers, f.At}
	}
}

// BringDown brings one verdict down at once, as a failed proof before a move
// does: the server is seen to be unfit for the VIP now, whatever its count of
// failures. Checks that begin later raise it again.
func (b *Board) BringDown(target Target, at time.Time, why string) []Flip {
	var flips []Flip
	for _, part := range b.Parts(target) {
		if e := b.entry(part); e != nil {
			flips = append(flips, b.bringDown(part, e, at, why)...)
		}
	}
	return b.regroup(b.flipped(flips))
}

func (b *Board) bringDown(target Target, e *entry, at time.Time, why string) []Flip {
	from := e.Verdict
	e.floor = at
	e.fall(at, why)
	if from == Down {
		return nil
	}
	return []Flip{{Target: target, From: from, To: Down, At: at, Why: why}}
}
