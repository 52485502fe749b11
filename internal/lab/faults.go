package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// An Action is something that can be done to a server of a running lab.
type Action string

const (
	Crash     Action = "crash"      // its process dies: the port is closed
	Freeze    Action = "freeze"     // its process stops: the kernel accepts, nobody answers
	Unplug    Action = "unplug"     // its link goes down, at the switch or, with Direct links, for the router too
	Block     Action = "block"      // its IP packets vanish while ARP, or neighbour discovery, still answers
	RemoveVIP Action = "remove-vip" // its loopback loses the VIPs that it is a backup for
	Restore   Action = "restore"    // undo all of these
)

// Actions lists all of them, in the order of a manual.
func Actions() []Action {
	return []Action{Crash, Freeze, Unplug, Block, RemoveVIP, Restore}
}

// Do does something to a server and returns when it has taken effect. Doing
// it twice is the same as once. One action runs at a time.
func (l *Lab) Do(ctx context.Context, action Action, server string) error {
	s, err := l.Site.server(server)
	if err != nil {
		return err
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return fmt.Errorf("%s %s: %w", action, server, context.Cause(ctx))
	}
	if err := l.act(action, s); err != nil {
		return fmt.Errorf("%s %s: %w", action, server, err)
	}
	l.note(action, server)
	return nil
}

// act does it; the caller has the turn.
func (l *Lab) act(action Action, s Server) error {
	h := l.network.servers[s.Name]
	switch action {
	case Crash:
		return l.servers[s.Name].kill()
	case Freeze:
		return l.servers[s.Name].freeze()
	case Unplug:
		return l.unplug(s)
	case Block:
		return h.block(l.Site.Family)
	case RemoveVIP:
		return l.removeVIPs(s)
	case Restore:
		return l.restore(s)
	default:
		words := make([]string, len(Actions()))
		for i, a := range Actions() {
			words[i] = string(a)
		}
		return fmt.Errorf("unknown action: there are %s", strings.Join(words, ", "))
	}
}

// unplug takes the server's link down at its far end, so that the router
// keeps its own port up unless the server hangs directly on it.
func (l *Lab) unplug(s Server) error {
	if l.Site.Links == Direct {
		return l.network.servers[s.Name].down(nic)
	}
	return l.network.lan.down(s.Name)
}

// plugIn undoes unplug. A device that was down has lost its routes, and in
// IPv6 its addresses.
func (l *Lab) plugIn(s Server) error {
	h := l.network.servers[s.Name]
	if l.Site.Links == Direct {
		return errors.Join(h.up(nic), h.settle(s, l.Site))
	}
	return l.network.lan.up(s.Name)
}

// removeVIPs takes away the VIPs that the server is a backup for: the loss
// that nobody sees until the backup is needed.
func (l *Lab) removeVIPs(s Server) error {
	h := l.network.servers[s.Name]
	carried, err := h.carried()
	if err != nil {
		return err
	}
	for _, vip := range l.Site.VIPs {
		if vip.Primary != s.Name && slices.Contains(carried, vip.Address) {
			err = errors.Join(err, h.drop(vip.Address))
		}
	}
	return err
}

// restore undoes everything, whatever was done.
func (l *Lab) restore(s Server) error {
	h := l.network.servers[s.Name]
	err := errors.Join(h.unblock(l.Site.Family), l.plugIn(s), h.carryAll(l.Site))
	p := l.servers[s.Name]
	if p.running() {
		return errors.Join(err, p.signal(syscall.SIGCONT))
	}
	p, e := l.startServer(s)
	if e != nil {
		return errors.Join(err, e)
	}
	l.servers[s.Name] = p
	return err
}

// carried returns the addresses on loopback.
func (h *host) carried() ([]netip.Addr, error) {
	lo, err := h.link("lo")
	if err != nil {
		return nil, err
	}
	list, err := h.nl.AddrList(lo, 0)
	if err != nil {
		return nil, fmt.Errorf("list addresses of %s: %w", h.Name, err)
	}
	var addresses []netip.Addr
	for _, a := range list {
		if address, ok := netip.AddrFromSlice(a.IP); ok {
			addresses = append(addresses, address.Unmap())
		}
	}
	return addresses, nil
}

// note remembers what was done, for Status.
func (l *Lab) note(action Action, server string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case action == Restore:
		delete(l.faults, server)
	case !slices.Contains(l.faults[server], action):
		l.faults[server] = append(l.faults[server], action)
	}
}

// KillController kills the controller with SIGKILL, as a crash would.
func (l *Lab) KillController(ctx context.Context) error {
	return l.withController(ctx, func(p *process) error { return p.kill() })
}

// StartController starts the controller again after KillController.
func (l *Lab) StartController(ctx context.Context) error {
	return l.withController(ctx, func(p *process) error {
		if p.running() {
			return nil
		}
		return l.startController()
	})
}

// withController runs f when no other action runs.
func (l *Lab) withController(ctx context.Context, f func(*process) error) error {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if l.controller == nil {
		return errors.New("this lab has no controller")
	}
	return f(l.controller)
}

// pause waits, or returns early with ctx's end.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
