package linux

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/linux/flows"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

var _ drivers.Drainer = (*Driver)(nil)

// KeepFlows makes graceful changes keep connections where they are from here
// on, and finds the transitions that a predecessor began, in the network
// namespace of the file descriptor ns, or with a negative one in the calling
// thread's: the one that the driver was opened in. Where that cannot be, changes
// cut connections, and Cuts says why; with a flow_limit of 0, transitions that
// are under way end. In a network namespace, one driver does it
// for all: packets in transition never reach the others' tables.
func (d *Driver) KeepFlows(ns int, drain topology.Drain) {
	if d.cfg.FlowLimit == 0 {
		d.cuts = errors.New("flow_limit is 0")
		// Nobody would lead new connections away from a server that fails.
		if _, err := flows.Clear(ns, d.cfg.Protocol, false); err != nil {
			d.log.Debug("cannot look for moves that a predecessor began", "err", err)
		}
		return
	}
	d.flows, d.cuts = flows.Open(ns, flows.Options{
		Timeout:   drain.Timeout,
		Idle:      drain.Idle,
		StickyUDP: drain.UDP == topology.UDPSticky,
		Limit:     d.cfg.FlowLimit,
		Protocol:  d.cfg.Protocol,
	}, d.log)
	if d.cuts != nil {
		d.log.Warn("planned moves will cut connections", "err", d.cuts)
	}
}

// prepareFlows comes before the plan is carried out. What cannot be kept does
// not stop the move, and is said before it.
func (d *Driver) prepareFlows(p *plan) {
	if d.flows == nil || p.repeated {
		return
	}
	graceful := slices.ContainsFunc(p.tasks, func(t *task) bool { return t.change.Graceful })
	if !graceful && !d.flows.Active() {
		return // as when a server is lost: every millisecond counts
	}
	var (
		keep, redirect []flows.Move
		withdrawn      []netip.Prefix
		moving         = p.moving()
	)
	for _, t := range p.tasks {
		if t.change.Op == steer.Remove {
			withdrawn = append(withdrawn, moving[t]...)
			continue
		}
		from := normal(t.change.From)
		for _, prefix := range moving[t] {
			move := flows.Move{Prefix: prefix, From: from, To: t.to}
			if t.change.Graceful {
				keep = append(keep, move)
			} else {
				redirect = append(redirect, move)
			}
		}
	}
	if len(keep) > 0 {
		if d.cuts = d.flows.Begin(keep); d.cuts != nil {
			d.log.Warn("moving at once: connections that exist are cut", "err", d.cuts)
		}
	}
	if err := d.flows.Redirect(redirect); err != nil {
		// Better all connections cut than new ones led to a server that has failed.
		d.log.Warn("new connections of moves under way cannot be redirected: the moves end, which cuts those that are left", "err", err)
		for _, move := range redirect {
			withdrawn = append(withdrawn, move.Prefix)
		}
	}
	if err := d.flows.End(withdrawn); err != nil {
		d.log.Warn("moves of withdrawn prefixes cannot be ended: their connections go on", "err", err)
	}
}

// Transitions implements drivers.Drainer. It does not wait for anybody but the
// kernel, for some seconds at the most.
func (d *Driver) Transitions(context.Context) ([]steer.Transition, error) {
	if d.flows == nil {
		return nil, nil
	}
	return d.flows.Transitions()
}

// Release implements drivers.Drainer.
func (d *Driver) Release(_ context.Context, lost map[netip.Prefix][]netip.Addr) error {
	if d.flows == nil {
		return nil
	}
	return d.flows.Release(lost)
}

// End implements drivers.Drainer.
func (d *Driver) End(_ context.Context, prefixes []netip.Prefix) error {
	if d.flows == nil {
		return nil
	}
	return d.flows.End(prefixes)
}

// Cuts implements drivers.Drainer.
func (d *Driver) Cuts() error { return d.cuts }
