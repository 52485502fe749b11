package lab

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/routesteer/routesteer/internal/frr"
)

// An frrRouter is FRR, with an SSH server that gives vtysh.
type frrRouter struct {
	unpacked []string
	frr      *frr.Router
}

func (r *frrRouter) start(h *host, dir string) error {
	var err error
	r.frr, err = frr.Start(h.Namespace, frr.Options{Dir: dir, Unpacked: r.unpacked})
	return err
}

// config has the fast profile keep its session: it does not wait for a login.
func (r *frrRouter) config(p Profile) string {
	return fmt.Sprintf("{cisco: {address: %s, port: %d, user: %s, key_file: %s, known_hosts: %s, dialect: frr, keep_session: %t}}",
		r.frr.Address.Addr(), r.frr.Address.Port(), r.frr.User, r.frr.KeyFile, r.frr.KnownHosts, p == Fast)
}

// route adds the new line, and then removes the others.
func (r *frrRouter) route(_ context.Context, prefix netip.Prefix, via netip.Addr) error {
	old, err := r.lines(prefix)
	if err != nil {
		return err
	}
	lines := []string{staticLine(prefix, via)}
	for _, line := range old {
		if line != lines[0] {
			lines = append(lines, "no "+line)
		}
	}
	return r.frr.Configure(lines...)
}

// lines returns FRR's static routes for a prefix, as it prints them.
func (r *frrRouter) lines(prefix netip.Prefix) ([]string, error) {
	config, err := r.frr.Vtysh("show running-config")
	return staticLines(config, prefix), err
}

// staticLines finds the static routes for a prefix in a configuration.
func staticLines(config string, prefix netip.Prefix) []string {
	var lines []string
	for line := range strings.Lines(config) {
		if strings.HasPrefix(line, staticWords(prefix)+" ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// removeFirst types everything in one session.
func (r *frrRouter) removeFirst(ctx context.Context, prefixes []netip.Prefix, to netip.Addr, between time.Duration) error {
	config, err := r.frr.Vtysh("show running-config")
	if err != nil {
		return err
	}
	lines := []string{"configure terminal"}
	for _, prefix := range prefixes {
		for _, line := range staticLines(config, prefix) {
			lines = append(lines, "no "+line)
		}
		lines = append(lines, staticLine(prefix, to))
	}
	return r.frr.Type(ctx, between, lines...)
}

// staticLine is FRR's line for a static route.
func staticLine(prefix netip.Prefix, via netip.Addr) string {
	return staticWords(prefix) + " " + via.String()
}

func staticWords(prefix netip.Prefix) string {
	if prefix.Addr().Is6() {
		return "ipv6 route " + prefix.String()
	}
	return "ip route " + prefix.String()
}

func (*frrRouter) cuts() string {
	return "a static route of FRR knows no connections; only a Linux router that the controller runs on can leave them where they are"
}

func (r *frrRouter) stop() error {
	if r.frr == nil {
		return nil
	}
	return r.frr.Stop()
}
