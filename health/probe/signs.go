package probe

import (
	"net/netip"
	"time"

	"github.com/routesteer/routesteer/health"
)

// noNeighbour is the failure of an address that does not tell its Ethernet
// address.
const noNeighbour = "no answer to ARP or neighbour solicitation"

// checked takes in what checks by an address hear. Nearly always nothing is new.
func (a *alive) checked(p *presence, s sign) {
	switch {
	case s == noSign, s == silence && p.quiet.Load() && !p.failed.Load():
	case s == life && !p.quiet.Load() && !p.failed.Load() && !p.lost.Load():
	case s == life:
		a.heard(p)
	default:
		a.silent(p)
	}
}

// heard ends what silence began. A loss it ends only where echo will not.
func (a *alive) heard(p *presence) {
	a.pinger.mu.Lock()
	defer a.pinger.mu.Unlock()
	p.quiet.Store(false)
	if a.echoTells(p) {
		return
	}
	p.failed.Store(false)
	a.find(p)
}

// silent is for a check that heard nothing: the kernel is asked to look for the
// address and, if it has failed to already, believed.
func (a *alive) silent(p *presence) {
	a.pinger.mu.Lock()
	defer a.pinger.mu.Unlock()
	p.quiet.Store(true)
	switch {
	case a.echoTells(p):
	case p.failed.Load():
		a.lose(p, time.Now(), noNeighbour)
	default:
		a.ask(p.address)
	}
}

// neighbourFailed takes in the kernel's word that an address does not tell its
// Ethernet address. It may be old, or brought about by somebody else: it is
// believed only of an address that is silent, too. One that answers echo has had
// its chance when one more echo, or the one that is under way, is not answered;
// one that does not, when a check has heard nothing since it last heard something.
func (a *alive) neighbourFailed(address netip.Addr) {
	a.pinger.mu.Lock()
	defer a.pinger.mu.Unlock()
	for _, p := range a.all {
		if p.address != address || p.lost.Load() {
			continue
		}
		p.failed.Store(true)
		if !a.echoTells(p) && p.quiet.Load() {
			a.lose(p, time.Now(), noNeighbour)
		}
	}
	a.planAnew() // an echo may have had its time
}

// neighbourFound takes in that the kernel knows the Ethernet address, after a
// loss that echo cannot end.
func (a *alive) neighbourFound(address netip.Addr) {
	a.pinger.mu.Lock()
	defer a.pinger.mu.Unlock()
	for _, p := range a.all {
		if p.address == address && !a.echoTells(p) {
			a.find(p)
		}
	}
}

// find ends a loss by another sign than echo.
func (a *alive) find(p *presence) {
	if p.lost.Swap(false) {
		a.outbox.put(health.Found{Server: p.server, Address: p.address, At: time.Now(), ByLink: true})
	}
}

// echoTells reports whether echo says when the address is well: it was answered
// before.
func (a *alive) echoTells(p *presence) bool { return !a.spec.Off && p.found.Load() }

// unseen are the lost addresses that echo cannot find.
func (a *alive) unseen() (addresses []netip.Addr) {
	a.pinger.mu.Lock()
	defer a.pinger.mu.Unlock()
	for _, p := range a.all {
		if p.lost.Load() && !a.echoTells(p) {
			addresses = append(addresses, p.address)
		}
	}
	return addresses
}
