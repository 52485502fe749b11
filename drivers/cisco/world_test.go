package cisco_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/routesteer/routesteer/drivers/cisco"
	"github.com/routesteer/routesteer/drivers/cisco/iostest"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

const (
	password = "correct horse battery"
	enabling = "staple %secret%"
)

// A world is a router, a site, and the driver between them, in fake time.
type world struct {
	*testing.T
	router *iostest.Router
	site   *topology.Site
	driver *cisco.Driver
	dir    string
	hops   map[string][2]netip.Addr // of servers, IPv4 and IPv6
}

// A setting is a router, and what the file says of it beside the usual.
type setting struct {
	options iostest.Options
	cisco   func(*topology.Cisco)
	mode    topology.Mode
	vips    int // of each IP version; default 2
}

// inWorld runs a test with the driver open on a router.
func inWorld(t *testing.T, s setting, test func(w *world)) {
	dir := t.TempDir() // outside of the bubble, which outlives no cleanup
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, dir: dir, hops: map[string][2]netip.Addr{}}
		s.options.User, s.options.Password = "routesteer", password
		w.router = iostest.New(s.options)
		defer w.router.Close()
		w.site = w.makeSite(s)
		w.open()
		defer w.leave()
		test(w)
	})
}

// makeSite has four servers and VIPs of both IP versions.
func (w *world) makeSite(s setting) *topology.Site {
	site := &topology.Site{}
	tier := topology.Tier{Name: "primary"}
	for i := 1; i <= 4; i++ {
		name := fmt.Sprintf("web%d", i)
		hops := [2]netip.Addr{netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", i)), netip.MustParseAddr(fmt.Sprintf("2001:db8:10::%d", i))}
		w.hops[name] = hops
		site.Servers = append(site.Servers, topology.Server{Name: topology.ServerName(name), Addresses: hops[:], Weight: 1})
		tier.Servers = append(tier.Servers, topology.ServerName(name))
	}
	if s.mode == "" {
		s.mode = topology.Single
	}
	if s.vips == 0 {
		s.vips = 2
	}
	for i := range s.vips {
		for _, prefix := range []string{fmt.Sprintf("203.%d.%d.%d/27", i>>11, i>>3&255, i&7*32), fmt.Sprintf("2001:db8:%x::/64", 0x100+i)} {
			site.VIPs = append(site.VIPs, topology.VIP{Prefix: netip.MustParsePrefix(prefix), Mode: s.mode, Tiers: []topology.Tier{tier}})
		}
	}
	slices.SortFunc(site.VIPs, func(a, b topology.VIP) int { return a.Prefix.Compare(b.Prefix) })
	cfg := &topology.Cisco{
		Address: netip.MustParseAddr("192.0.2.1"), Port: 22, User: "routesteer", Password: w.secret("password", password),
		HostKey: ssh.FingerprintSHA256(w.router.HostKey()), Dialect: topology.Dialect(s.options.Dialect),
		Distance: 1, Strategy: topology.StrategyReplace, Timeout: 30 * time.Second, Poll: time.Minute,
	}
	if s.options.Enable != "" {
		cfg.Enable = w.secret("enable", s.options.Enable)
	}
	if s.cisco != nil {
		s.cisco(cfg)
	}
	site.Routers = []topology.Router{{Name: "core", Cisco: cfg}}
	return site
}

func (w *world) secret(name, text string) topology.Secret {
	w.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		w.Fatal(err)
	}
	return topology.Secret{File: path}
}

func (w *world) open() {
	w.driver = cisco.Open(w.site.Routers[0], w.site, cisco.Options{Directory: filepath.Join(w.dir, "routers"), Dial: w.router.Dial})
}

// leave closes the driver, and holds what is true of every end.
func (w *world) leave() {
	w.Helper()
	if err := w.driver.Close(); err != nil {
		w.Errorf("Close: %v", err)
	}
	synctest.Wait()
	if open, _ := w.router.Sessions(); open > 0 {
		w.Errorf("%d sessions are left on the router", open)
	}
	for _, secret := range []string{password, enabling} {
		if w.router.Leaked(secret) {
			w.Errorf("the secret was typed where it is seen")
		}
		if script := w.transcript(); strings.Contains(script, secret) {
			w.Errorf("a secret is in the transcript:\n%s", script)
		}
	}
}

func (w *world) transcript() string {
	text, err := os.ReadFile(filepath.Join(w.dir, "routers", "core.log"))
	if err != nil && !os.IsNotExist(err) {
		w.Fatal(err)
	}
	return string(text)
}

// prefixes are those of the site's VIPs.
func (w *world) prefixes() []netip.Prefix {
	var all []netip.Prefix
	for _, vip := range w.site.VIPs {
		all = append(all, vip.Prefix)
	}
	return all
}

// to is the next hops of servers for a prefix.
func (w *world) to(prefix netip.Prefix, servers ...string) []steer.NextHop {
	var hops []steer.NextHop
	for _, server := range servers {
		hop := w.hops[server][0]
		if prefix.Addr().Is6() {
			hop = w.hops[server][1]
		}
		hops = append(hops, steer.NextHop{Address: hop, Weight: 1})
	}
	steer.SortNextHops(hops)
	return hops
}

// move asks the driver to send all prefixes to servers.
func (w *world) move(ctx context.Context, servers ...string) (int, error) {
	var changes []steer.Change
	for _, prefix := range w.prefixes() {
		change := steer.Change{Op: steer.Replace, Prefixes: []netip.Prefix{prefix}, To: w.to(prefix, servers...), Adopt: w.site.Routers[0].Adopt()}
		if len(servers) == 0 {
			change.Op = steer.Remove
		}
		changes = append(changes, change)
	}
	return w.driver.Apply(ctx, changes)
}

// moved asks for a move that must succeed, and be seen.
func (w *world) moved(servers ...string) {
	w.Helper()
	if n, err := w.move(w.Context(), servers...); err != nil || n != len(w.site.VIPs) {
		w.Fatalf("to %v: %d of %d prefixes: %v\n%s", servers, n, len(w.site.VIPs), err, w.transcript())
	}
	w.at(servers...)
}

// at holds that the router sends all prefixes to servers, and to nobody else.
func (w *world) at(servers ...string) {
	w.Helper()
	routes, err := w.driver.Routes(w.Context())
	if err != nil {
		w.Fatalf("Routes: %v\n%s", err, w.transcript())
	}
	if len(servers) == 0 && len(routes) == 0 {
		return
	}
	if len(routes) != len(w.site.VIPs) {
		w.Fatalf("%d routes for %d prefixes: %v", len(routes), len(w.site.VIPs), routes)
	}
	for _, r := range routes {
		if r.Foreign || r.Stray || !slices.Equal(r.NextHops, w.to(r.Prefix, servers...)) {
			w.Fatalf("the router has %+v, want %v", r, servers)
		}
	}
}

// unbroken holds that no prefix that had a route was without one since.
func (w *world) unbroken() {
	w.Helper()
	for _, prefix := range w.prefixes() {
		history := w.router.GuardVRF(w.site.Routers[0].Cisco.VRF, prefix)
		for _, gap := range history.Gaps {
			w.Errorf("%s was without a route: %v", prefix, gap)
		}
	}
}
