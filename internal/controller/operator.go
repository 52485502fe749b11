package controller

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/state"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

var _ api.Operator = (*Controller)(nil)

// Drain implements api.Operator.
func (c *Controller) Drain(ctx context.Context, request api.DrainRequest) (*api.Moved, error) {
	servers := serverNames(request.Servers)
	w := &wish{
		by: request.By, timeoutMs: request.TimeoutMs, about: api.Moved{Did: "drain", Servers: request.Servers, Of: request.VIPs},
		concerns: concernsServers(servers),
		prove:    func(ctx context.Context, next prospect) error { return c.proveDrain(ctx, request, next) },
	}
	w.edit = func(intent *state.Intent, now time.Time) ([]api.Event, error) {
		drain := state.Drain{By: request.By, Reason: request.Reason, Since: now.Round(0), Until: request.Until}
		if request.UntilReboot {
			drain.Reboot, drain.Asked = state.RebootAwaited, now.Round(0)
		}
		if err := c.checkEnd(request.Until, now); err != nil {
			return nil, err
		}
		return c.editPlaces(intent, servers, request.VIPs, func(place place) (api.Event, bool) {
			return place.drain(intent, drain)
		})
	}
	moved, err := c.grant(ctx, w)
	if err == nil && request.Cut && moved.Confirmed {
		err = c.cut(ctx, servers, request.By)
	}
	return moved, err
}

// Undrain implements api.Operator.
func (c *Controller) Undrain(ctx context.Context, request api.UndrainRequest) (*api.Moved, error) {
	servers := serverNames(request.Servers)
	return c.grant(ctx, c.undrain(servers, request))
}

func (c *Controller) undrain(servers []topology.ServerName, request api.UndrainRequest) *wish {
	w := &wish{
		by: request.By, timeoutMs: request.TimeoutMs, about: api.Moved{Did: "undrain", Servers: request.Servers, Of: request.VIPs},
		concerns: concernsServers(servers),
		prove:    func(ctx context.Context, _ prospect) error { return c.look(ctx, servers) },
	}
	w.edit = func(intent *state.Intent, _ time.Time) ([]api.Event, error) {
		return c.editPlaces(intent, servers, request.VIPs, func(place place) (api.Event, bool) {
			event, changed := place.undrain(intent)
			if changed {
				w.recalls = append(w.recalls, state.Recall{Server: place.server, VIP: place.vip})
			}
			return event, changed
		})
	}
	return w
}

// Pin implements api.Operator.
func (c *Controller) Pin(ctx context.Context, request api.PinRequest) (*api.Moved, error) {
	name := topology.ServerName(request.Server)
	w := &wish{by: request.By, timeoutMs: request.TimeoutMs, about: api.Moved{Did: "pin", Servers: []string{request.Server}, Of: []string{request.VIP}}}
	w.edit = func(intent *state.Intent, now time.Time) ([]api.Event, error) {
		vip, err := c.vip(request.VIP)
		if err != nil {
			return nil, err
		}
		if err := c.checkPin(vip, name); err != nil {
			return nil, err
		}
		if err := c.checkEnd(request.Until, now); err != nil {
			return nil, err
		}
		w.concerns, w.about.Of = concernsVIP(vip.Prefix), []string{vip.Prefix.String()}
		before, pinned := intent.Pins[vip.Prefix]
		if pinned && before.Server == name && before.Force == request.Force && request.Reason == "" && request.Until.Equal(before.Until) {
			return nil, nil
		}
		intent.Pins[vip.Prefix] = state.Pin{Server: name, Force: request.Force, By: request.By, Reason: request.Reason, Since: now.Round(0), Until: request.Until}
		return []api.Event{{Kind: api.AdminEvent, VIP: vip.Prefix.String(), Server: request.Server, From: string(before.Server), To: "pinned", Reason: request.Reason}}, nil
	}
	w.prove = func(ctx context.Context, next prospect) error { return c.provePin(ctx, request, next) }
	return c.grant(ctx, w)
}

// Unpin implements api.Operator.
func (c *Controller) Unpin(ctx context.Context, request api.UnpinRequest) (*api.Moved, error) {
	w := &wish{by: request.By, timeoutMs: request.TimeoutMs, about: api.Moved{Did: "unpin", Of: []string{request.VIP}}}
	w.edit = func(intent *state.Intent, _ time.Time) ([]api.Event, error) {
		prefix, err := c.pinnedVIP(intent, request.VIP)
		if err != nil {
			return nil, err
		}
		w.concerns, w.about.Of = concernsVIP(prefix), []string{prefix.String()}
		w.recalls = []state.Recall{{VIP: prefix}}
		return unpin(intent, prefix), nil
	}
	w.prove = func(ctx context.Context, next prospect) error { return c.lookAhead(ctx, next) }
	return c.grant(ctx, w)
}

// unpin ends a pin, if there is one.
func unpin(intent *state.Intent, prefix netip.Prefix) []api.Event {
	pin, pinned := intent.Pins[prefix]
	if !pinned {
		return nil
	}
	delete(intent.Pins, prefix)
	return []api.Event{{Kind: api.AdminEvent, VIP: prefix.String(), Server: string(pin.Server), From: "pinned", To: "unpinned"}}
}

// Failback implements api.Operator.
func (c *Controller) Failback(ctx context.Context, request api.FailbackRequest) (*api.Moved, error) {
	w := &wish{by: request.By, timeoutMs: request.TimeoutMs, about: api.Moved{Did: "failback", Of: request.Of}}
	w.concerns = func(_ *steer.Cohort, was, want steer.Want) bool { return !slices.Equal(was.Servers, want.Servers) }
	w.edit = func(*state.Intent, time.Time) ([]api.Event, error) {
		var err error
		w.recalls, err = c.recalls(request.Of)
		return []api.Event{{Kind: api.AdminEvent, To: "failback", Reason: fmt.Sprintf("traffic may return at once: %s", orAll(request.Of))}}, err
	}
	w.prove = func(ctx context.Context, next prospect) error { return c.lookAhead(ctx, next) }
	return c.grant(ctx, w)
}

// Resume implements api.Operator.
func (c *Controller) Resume(ctx context.Context, request api.ResumeRequest) (*api.Moved, error) {
	return c.grant(ctx, &wish{
		by: request.By, timeoutMs: request.TimeoutMs, about: api.Moved{Did: "resume"},
		concerns: func(_ *steer.Cohort, was, want steer.Want) bool { return !slices.Equal(was.Servers, want.Servers) },
		edit: func(intent *state.Intent, now time.Time) ([]api.Event, error) {
			intent.Resumed = now.Round(0)
			return []api.Event{{Kind: api.AdminEvent, To: "resumed", Reason: "failures until now may move traffic"}}, nil
		},
	})
}
