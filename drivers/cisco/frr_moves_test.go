package cisco

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

var (
	web1 = []steer.NextHop{{Address: netip.MustParseAddr("192.0.2.11"), Weight: 1}}
	web2 = []steer.NextHop{{Address: netip.MustParseAddr("192.0.2.12"), Weight: 1}}
)

// hosts returns n prefixes of the range for benchmarks (RFC 2544).
func hosts(n int) []netip.Prefix {
	var all []netip.Prefix
	for i := range n {
		addr := netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
		all = append(all, netip.PrefixFrom(addr, 32))
	}
	return all
}

// lay gives all prefixes a route of ours in one go.
func (r *frrRouter) lay(t testing.TB, prefixes []netip.Prefix, via []steer.NextHop) {
	t.Helper()
	news := r.listen(t)
	defer news.close()
	var lines []string
	for _, p := range prefixes {
		lines = append(lines, fmt.Sprintf("ip route %s %s tag %d", p, via[0].Address, frrTag))
	}
	r.configure(t, lines...)
	news.until(t, prefixes[len(prefixes)-1])
}

func moving(prefixes []netip.Prefix, from, to []steer.NextHop) steer.Change {
	return steer.Change{Op: steer.Replace, Prefixes: prefixes, From: from, To: to, Reason: "tested"}
}

// whole checks that no prefix went without a route, and that all came to the
// next hop.
func whole(t *testing.T, r *frrRouter, news *routeNews, prefixes []netip.Prefix, to []steer.NextHop) {
	t.Helper()
	via, ours := map[netip.Prefix]string{}, map[netip.Prefix]bool{}
	for _, p := range prefixes {
		ours[p] = true
	}
	for _, u := range r.flush(t, news) {
		p := destination(u)
		if !ours[p] {
			continue
		}
		if u.Type == unix.RTM_DELROUTE {
			t.Fatalf("%s went without a route", p)
		}
		if via[p] = u.Gw.String(); len(u.MultiPath) > 0 {
			via[p] = "several"
		}
	}
	for _, p := range prefixes {
		if via[p] != to[0].Address.String() {
			t.Errorf("%s is at %q, want %s", p, via[p], to[0].Address)
		}
	}
}

func TestFRRMovesManyPrefixesAndNoneIsWithoutARoute(t *testing.T) {
	t.Parallel()
	r, prefixes := newFRR(t), hosts(3*batchSize)
	r.lay(t, prefixes, web1)
	d := r.open(r.cfg(), prefixes...)
	defer d.Close()
	news := r.listen(t)
	defer news.close()
	began := time.Now()
	if n, err := d.Apply(t.Context(), []steer.Change{moving(prefixes, web1, web2)}); n != len(prefixes) || err != nil {
		t.Fatalf("Apply moved %d of %d: %v", n, len(prefixes), err)
	}
	t.Logf("%d prefixes in %s", len(prefixes), time.Since(began))
	whole(t, r, news, prefixes, web2)
}

// Whatever is half done when the session ends stays in service, and the next
// pass completes it.
func TestFRRConvergesAfterASessionThatWasKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	r, prefixes := newFRR(t), hosts(3*batchSize)
	r.lay(t, prefixes, web1)
	d := r.open(r.cfg(), prefixes...)
	defer d.Close()
	news, midway := r.listen(t), r.listen(t)
	defer news.close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	changes := []steer.Change{moving(prefixes, web1, web2)}
	applied := make(chan error, 1)
	go func() {
		_, err := d.Apply(ctx, changes)
		applied <- err
	}()
	midway.until(t, prefixes[len(prefixes)/2])
	midway.close()
	if n, err := r.CutSessions(); n == 0 || err != nil {
		t.Fatalf("cut %d processes: %v", n, err)
	}
	t.Logf("the pass that was cut: %.300v", <-applied)
	if n, err := d.Apply(ctx, changes); n != len(prefixes) || err != nil {
		t.Fatalf("the next pass moved %d of %d: %v", n, len(prefixes), err)
	}
	whole(t, r, news, prefixes, web2)
	for _, p := range []netip.Prefix{prefixes[0], prefixes[len(prefixes)/2], prefixes[len(prefixes)-1]} {
		if lines := r.static(t, p); len(lines) != 1 || !strings.Contains(lines[0], web2[0].Address.String()) {
			t.Errorf("FRR has %q for %s, want one line", lines, p)
		}
	}
}

// What is saved is what a restart brings back, and it is told if that fails.
func TestFRRSavesWhatWasReadBack(t *testing.T) {
	t.Parallel()
	r, prefixes := newFRR(t), hosts(4)
	cfg := r.cfg()
	cfg.Save = topology.Save{AfterChange: true}
	d := r.open(cfg, prefixes...)
	defer d.Close()
	if n, err := d.Apply(t.Context(), []steer.Change{{Op: steer.Add, Prefixes: prefixes, To: web1, Reason: "tested"}}); n != 4 || err != nil {
		t.Fatalf("Apply: %d, %v", n, err)
	}
	if _, err := d.Routes(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("ip route %s 192.0.2.11 tag %d\n", prefixes[3], frrTag)
	deadline, tick := time.After(time.Minute), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for {
		saved, err := r.Saved()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(saved, want) {
			break
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("saved is\n%s\nwant %q in it; the driver says %v", saved, want, d.Info())
		}
	}
	if problems := d.Info().Problems; len(problems) > 0 {
		t.Errorf("after a save: %v", problems)
	}
}
