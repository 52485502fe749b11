package lab

import (
	"context"
	"net/netip"
)

// A linuxRouter is the router's kernel alone.
type linuxRouter struct{ host *host }

func (r *linuxRouter) start(h *host, _ string) error {
	r.host = h
	return nil
}

func (*linuxRouter) config(Profile) string { return "{linux: {}}" }

func (r *linuxRouter) route(_ context.Context, prefix netip.Prefix, via netip.Addr) error {
	return r.host.route(prefix, via)
}

func (*linuxRouter) cuts() string { return "" }

func (*linuxRouter) stop() error { return nil }
