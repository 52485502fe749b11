package bgp

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

var (
	vip4  = netip.MustParsePrefix("203.0.113.32/27")
	vip4b = netip.MustParsePrefix("203.0.113.64/32")
	vip6  = netip.MustParsePrefix("2001:db8:100::80/128")
	web1  = netip.MustParseAddr("192.0.2.11")
	web2  = netip.MustParseAddr("192.0.2.12")
	web16 = netip.MustParseAddr("2001:db8:1::11")
	web26 = netip.MustParseAddr("2001:db8:1::12")
)

// A mouth is a driver under test with its host.
type mouth struct {
	*testing.T
	host   *Host
	driver *Driver
}

// speak opens a driver for the prefixes, until the test ends.
func speak(t *testing.T, router topology.Router, prefixes ...netip.Prefix) *mouth {
	t.Helper()
	m := &mouth{T: t, host: NewHost(t.TempDir(), quiet())}
	t.Cleanup(m.host.Close)
	m.open(router, prefixes...)
	return m
}

func (m *mouth) open(router topology.Router, prefixes ...netip.Prefix) {
	m.Helper()
	m.openVIPs(router, vips(prefixes...))
}

func (m *mouth) openVIPs(router topology.Router, vips []topology.VIP) {
	m.Helper()
	if m.driver != nil {
		if err := m.driver.Close(); err != nil {
			m.Fatal(err)
		}
	}
	d, err := m.host.Open(router, vips)
	if err != nil {
		m.Fatal(err)
	}
	m.driver = d
}

// send announces the prefixes by these next hops; without any it withdraws.
func (m *mouth) send(prefixes []netip.Prefix, hops ...netip.Addr) {
	m.Helper()
	c := steer.Change{Op: steer.Replace, Prefixes: prefixes, To: to(hops...)}
	if len(hops) == 0 {
		c.Op = steer.Remove
	}
	ctx, cancel := context.WithTimeout(m.Context(), 30*time.Second)
	defer cancel()
	if n, err := m.driver.Apply(ctx, []steer.Change{c}); n != len(prefixes) || err != nil {
		m.Fatalf("%s: %d, %v", c, n, err)
	}
}

func to(addresses ...netip.Addr) []steer.NextHop {
	var hops []steer.NextHop
	for _, a := range addresses {
		hops = append(hops, steer.NextHop{Address: a, Weight: 1})
	}
	return hops
}

// vips are VIPs without attributes of their own.
func vips(prefixes ...netip.Prefix) []topology.VIP {
	var all []topology.VIP
	for _, p := range prefixes {
		all = append(all, topology.VIP{Prefix: p})
	}
	return all
}

func only(prefixes ...netip.Prefix) []netip.Prefix { return prefixes }

// informed waits until what the driver tells is as wanted.
func (m *mouth) informed(what string, holds func(drivers.Info) bool) drivers.Info {
	m.Helper()
	// Changed tells of sessions that come and go, and not of each word about them.
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	late := time.After(longest)
	for {
		info := m.driver.Info()
		if holds(info) {
			return info
		}
		select {
		case <-again.C:
		case <-late:
			m.Fatalf("it is not told that %s: %+v", what, info)
		}
	}
}

// established waits until all sessions are.
func (m *mouth) established() drivers.Info {
	m.Helper()
	return m.informed("all sessions are established", func(info drivers.Info) bool {
		return !slices.ContainsFunc(info.Sessions, func(s drivers.Session) bool { return !s.Well })
	})
}

// needs checks that text holds all words.
func needs(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q is not in\n%s", word, text)
		}
	}
}

// lacks checks that text holds none of the words.
func lacks(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if strings.Contains(text, word) {
			t.Errorf("%q is in\n%s", word, text)
		}
	}
}

func secretFile(t *testing.T, word string) topology.Secret {
	t.Helper()
	path := t.TempDir() + "/password"
	if err := os.WriteFile(path, []byte(word+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return topology.Secret{File: path}
}
