package linux

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

var (
	vip4 = netip.MustParsePrefix("203.0.113.32/27")
	vip6 = netip.MustParsePrefix("2001:db8:64::/64")
)

// lines writes the driver's routes with everything that Routes tells.
func lines(t *testing.T, d *Driver) []string {
	t.Helper()
	routes, err := d.Routes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range routes {
		words := []string{r.Prefix.String()}
		if len(r.NextHops) > 0 {
			words = append(words, "via "+steer.FormatNextHops(r.NextHops))
		}
		if r.Foreign {
			words = append(words, "FOREIGN")
		}
		if r.Stray {
			words = append(words, "STRAY")
		}
		out = append(out, strings.Join(append(words, "| "+r.Detail), " "))
	}
	return out
}

func wantLines(t *testing.T, d *Driver, want ...string) {
	t.Helper()
	if got := lines(t, d); !slices.Equal(got, want) {
		t.Errorf("Routes tells\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func mustApply(t testing.TB, d *Driver, changes ...steer.Change) {
	t.Helper()
	if n, err := d.Apply(t.Context(), changes); n != len(changes) || err != nil {
		t.Fatalf("Apply took %d of %d changes: %v", n, len(changes), err)
	}
}

func TestRoutesTellsWhoseEachRouteIs(t *testing.T) {
	for _, test := range []struct{ name, planted, want string }{
		{"ours", "203.0.113.32/27 via 192.0.2.11 proto 82",
			"203.0.113.32/27 via 192.0.2.11 | proto 82 metric 0 dev lan0"},
		{"ours, IPv6", "2001:db8:64::/64 via 2001:db8:1::11 proto 82",
			"2001:db8:64::/64 via 2001:db8:1::11 | proto 82 metric 1024 dev lan0"},
		{"ours over two networks", "203.0.113.32/27 proto 82 nexthop via 198.51.100.13 weight 2 nexthop via 192.0.2.11 weight 1",
			"203.0.113.32/27 via 192.0.2.11 weight 1, 198.51.100.13 weight 2 | proto 82 metric 0 dev lan1 dev lan0"},
		{"ours, an IPv6 next hop of an IPv4 prefix", "203.0.113.32/27 via inet6 2001:db8:1::11 proto 82",
			"203.0.113.32/27 via 2001:db8:1::11 | proto 82 metric 0 dev lan0"},
		{"foreign", "203.0.113.32/27 via 192.0.2.11 proto static",
			"203.0.113.32/27 via 192.0.2.11 FOREIGN | proto static metric 0 dev lan0"},
		{"foreign and on-link", "203.0.113.32/27 dev lan1 proto 177",
			"203.0.113.32/27 FOREIGN | proto 177 metric 0 dev lan1"},
		{"foreign blackhole", "blackhole 203.0.113.32/27 proto bgp",
			"203.0.113.32/27 FOREIGN | blackhole proto bgp metric 0"},
		{"foreign with a type of service", "203.0.113.32/27 tos 0x10 via 192.0.2.11 proto zebra",
			"203.0.113.32/27 via 192.0.2.11 FOREIGN | tos 0x10 proto zebra metric 0 dev lan0"},
		{"foreign of a lower metric takes our packets", "2001:db8:64::/64 via 2001:db8:1::11 proto bird metric 20",
			"2001:db8:64::/64 via 2001:db8:1::11 FOREIGN | proto bird metric 20 dev lan0"},
		{"foreign of a higher metric is a harmless fallback", "203.0.113.32/27 via 192.0.2.11 proto static metric 500", ""},
		{"another length of the same address", "203.0.113.32/28 via 192.0.2.11 proto static", ""},
		{"another table", "203.0.113.32/27 via 192.0.2.11 proto 82 table 99", ""},
		{"stray: another metric", "203.0.113.32/27 via 192.0.2.11 proto 82 metric 7",
			"203.0.113.32/27 via 192.0.2.11 STRAY | proto 82 metric 7 dev lan0"},
		{"stray: blackhole", "blackhole 203.0.113.32/27 proto 82",
			"203.0.113.32/27 STRAY | blackhole proto 82 metric 0"},
		{"stray: on-link", "203.0.113.32/27 dev lan0 proto 82",
			"203.0.113.32/27 STRAY | proto 82 metric 0 dev lan0"},
		{"stray: a next hop declared on-link", "203.0.113.32/27 via 10.9.9.9 dev lan0 onlink proto 82",
			"203.0.113.32/27 via 10.9.9.9 STRAY | proto 82 metric 0 dev lan0 onlink"},
		{"stray: an MTU", "203.0.113.32/27 via 192.0.2.11 proto 82 mtu 1400",
			"203.0.113.32/27 via 192.0.2.11 STRAY | proto 82 metric 0 dev lan0"},
		{"stray: a source address", "203.0.113.32/27 via 192.0.2.11 proto 82 src 198.51.100.1",
			"203.0.113.32/27 via 192.0.2.11 STRAY | proto 82 metric 0 dev lan0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRouter(t)
			d := r.open(defaults, vip4, vip6)
			family := "-4"
			if strings.HasPrefix(test.planted, "2001:") {
				family = "-6"
			}
			r.ip("%s route add %s", family, test.planted)
			if test.want == "" {
				wantLines(t, d)
				return
			}
			wantLines(t, d, test.want)
		})
	}
}

func TestStraysGiveWayToTheRightRouteWithoutAGap(t *testing.T) {
	for _, test := range []struct {
		name    string
		prefix  netip.Prefix
		planted []string
		stands  bool // the right route, among them
	}{
		{"another metric", vip4, []string{"add 203.0.113.32/27 via 192.0.2.12 proto 82 metric 7"}, false},
		{"a lower metric beside the right one", vip6, []string{
			"add 2001:db8:64::/64 via 2001:db8:1::12 proto 82", "add 2001:db8:64::/64 via 2001:db8:1::11 proto 82 metric 7"}, true},
		{"a second entry below", vip4, []string{
			"add 203.0.113.32/27 via 192.0.2.12 proto 82", "append 203.0.113.32/27 via 192.0.2.11 proto 82"}, true},
		{"a second entry above", vip4, []string{
			"add 203.0.113.32/27 via 192.0.2.11 proto 82", "append 203.0.113.32/27 via 192.0.2.12 proto 82"}, true},
		{"two wrong entries", vip4, []string{
			"add 203.0.113.32/27 via 192.0.2.11 proto 82", "append 203.0.113.32/27 via 192.0.2.13 proto 82 mtu 1400"}, false},
		{"the same but for an MTU", vip4, []string{"add 203.0.113.32/27 via 192.0.2.12 proto 82 mtu 1400"}, false},
		{"a blackhole", vip4, []string{"add blackhole 203.0.113.32/27 proto 82"}, false},
		{"a blackhole, IPv6", vip6, []string{"add blackhole 2001:db8:64::/64 proto 82 metric 1024"}, false},
		{"a type of service", vip4, []string{"add 203.0.113.32/27 tos 0x10 via 192.0.2.12 proto 82"}, false},
		{"several next hops, another metric", vip6, []string{
			"add 2001:db8:64::/64 proto 82 metric 7 nexthop via 2001:db8:1::11 nexthop via 2001:db8:1::12"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRouter(t)
			d := r.open(defaults, vip4, vip6)
			to, want := "192.0.2.12", "203.0.113.32/27 via 192.0.2.12 | proto 82 metric 0 dev lan0"
			if test.prefix == vip6 {
				to, want = "2001:db8:1::12", "2001:db8:64::/64 via 2001:db8:1::12 | proto 82 metric 1024 dev lan0"
			}
			for _, command := range test.planted {
				r.ip("%s route %s", flag(test.prefix), command)
			}
			if before := strings.Join(lines(t, d), "\n"); !strings.Contains(before, "STRAY") {
				t.Errorf("nothing stray was told:\n%s", before)
			}
			news := listen(t, r)
			mustApply(t, d, steer.Change{Op: steer.Replace, Prefixes: []netip.Prefix{test.prefix}, To: hops(t, to)})
			wantLines(t, d, want)
			if first := pending(t, news)[0]; !test.stands && first.kind != unix.RTM_NEWROUTE {
				t.Error("a stray entry was removed before the right route was written")
			}
			if err := news.close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRemoveTakesAllOfOursAndNothingElse(t *testing.T) {
	r := newRouter(t)
	d := r.open(defaults, vip4, vip6)
	r.ip("route add 203.0.113.32/27 via 192.0.2.11 proto 82")
	r.ip("route append 203.0.113.32/27 via 192.0.2.12 proto 82")
	r.ip("route add 203.0.113.32/27 via 192.0.2.11 proto 82 metric 9")
	r.ip("route add 203.0.113.32/27 via 192.0.2.11 proto static metric 10")
	r.ip("route add 203.0.113.32/27 via 192.0.2.11 proto 82 table 99")
	mustApply(t, d, steer.Change{Op: steer.Remove, Prefixes: []netip.Prefix{vip4}})
	if got, want := squeeze(r.ip("route show 203.0.113.32/27 table all")),
		"203.0.113.32/27 via 192.0.2.11 dev lan0 table 99 proto 82\n203.0.113.32/27 via 192.0.2.11 dev lan0 proto static metric 10"; got != want {
		t.Errorf("left are\n%s\nwant\n%s", got, want)
	}
}

// squeeze takes the spaces from the ends of lines that ip(8) leaves there.
func squeeze(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		out = append(out, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(out, "\n")
}

func TestAdoptTakesThePlaceOfEveryRouteInTheWay(t *testing.T) {
	r := newRouter(t)
	d := r.open(topology.Linux{Table: 254, Metric: 50, Protocol: 82}, vip4, vip6)
	r.ip("route add 203.0.113.32/27 via 192.0.2.11 proto static metric 50")
	r.ip("route append 203.0.113.32/27 via 192.0.2.13 proto bgp metric 50")
	r.ip("route add 203.0.113.32/27 via 192.0.2.11 proto zebra metric 20")
	r.ip("route add 203.0.113.32/27 via 192.0.2.14 proto static metric 500")
	r.ip("-6 route add 2001:db8:64::/64 via 2001:db8:1::11 proto bird metric 20")
	add4 := steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.12")}
	add6 := steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{vip6}, To: hops(t, "2001:db8:1::12")}

	n, err := d.Apply(t.Context(), []steer.Change{add4})
	if n != 0 || err == nil || !strings.Contains(err.Error(), "a foreign route stands there: via 192.0.2.11 proto static metric 50 dev lan0") {
		t.Errorf("Apply without Adopt took %d changes: %v", n, err)
	}
	add4.Adopt, add6.Adopt = true, true
	mustApply(t, d, add4, add6)
	wantLines(t, d,
		"203.0.113.32/27 via 192.0.2.12 | proto 82 metric 50 dev lan0",
		"2001:db8:64::/64 via 2001:db8:1::12 | proto 82 metric 50 dev lan0")
	if got := r.ip("route show 203.0.113.32/27 metric 500"); !strings.Contains(got, "192.0.2.14") {
		t.Error("the harmless fallback of metric 500 has gone")
	}
}

func TestRouteOfALowerMetricDoesNotKeepOursFromBeingWritten(t *testing.T) {
	r := newRouter(t)
	d := r.open(topology.Linux{Table: 254, Metric: 50, Protocol: 82}, vip4)
	r.ip("route add 203.0.113.32/27 via 192.0.2.11 proto zebra metric 20")
	mustApply(t, d, steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.12")})
	wantLines(t, d,
		"203.0.113.32/27 via 192.0.2.12 | proto 82 metric 50 dev lan0",
		"203.0.113.32/27 via 192.0.2.11 FOREIGN | proto zebra metric 20 dev lan0")
}

func TestForeignRouteOfTheSameKeyIsNotReplacedByMistake(t *testing.T) {
	replace := steer.Change{Op: steer.Replace, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.13")}
	t.Run("behind ours", func(t *testing.T) {
		r := newRouter(t)
		d := r.open(defaults, vip4)
		r.ip("route add 203.0.113.32/27 via 192.0.2.11 proto 82")
		r.ip("route append 203.0.113.32/27 via 192.0.2.12 proto static")
		mustApply(t, d, replace)
		wantLines(t, d, "203.0.113.32/27 via 192.0.2.13 | proto 82 metric 0 dev lan0") // the other is a fallback
		if got := r.ip("route show 203.0.113.32/27"); !strings.Contains(got, "192.0.2.12") {
			t.Error("the foreign route behind ours has gone")
		}
	})
	t.Run("before ours, where the kernel would replace it", func(t *testing.T) {
		r := newRouter(t)
		d := r.open(defaults, vip4)
		r.ip("route add 203.0.113.32/27 via 192.0.2.12 proto static")
		r.ip("route append 203.0.113.32/27 via 192.0.2.11 proto 82")
		want := []string{
			"203.0.113.32/27 via 192.0.2.11 | proto 82 metric 0 dev lan0",
			"203.0.113.32/27 via 192.0.2.12 FOREIGN | proto static metric 0 dev lan0",
		}
		wantLines(t, d, want...)
		if n, err := d.Apply(t.Context(), []steer.Change{replace}); n != 0 || err == nil {
			t.Errorf("Apply took %d changes: %v", n, err)
		}
		wantLines(t, d, want...)
	})
}

func TestForeignRouteThatAppearsAfterTheLookIsNotTouched(t *testing.T) {
	r := newRouter(t)
	d := r.open(defaults, vip4, vip6)
	empty, err := d.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := d.plan(empty, []steer.Change{
		{Op: steer.Add, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.11")},
		{Op: steer.Add, Prefixes: []netip.Prefix{vip6}, To: hops(t, "2001:db8:1::11 2001:db8:1::12")},
	}, d.newPaths())
	r.ip("route add 203.0.113.32/27 via 192.0.2.13 proto static")
	r.ip("-6 route add 2001:db8:64::/64 via 2001:db8:1::13 proto static")
	if again, err := d.carryOut(p); again || err != nil {
		t.Fatal(again, err)
	}
	for _, task := range p.tasks {
		if _, failed := task.outcome(); len(failed) != 1 || !errors.Is(failed[0], unix.EEXIST) ||
			!strings.Contains(failed[0].Error(), "the next pass looks again") {
			t.Errorf("%s: %v", task.change, failed)
		}
	}
	wantLines(t, d,
		"203.0.113.32/27 via 192.0.2.13 FOREIGN | proto static metric 0 dev lan0",
		"2001:db8:64::/64 via 2001:db8:1::13 FOREIGN | proto static metric 1024 dev lan0")
}

func TestConnectedNetworkIsNeverAdopted(t *testing.T) {
	r := newRouter(t)
	lan := netip.MustParsePrefix("192.0.2.0/24")
	d := r.open(defaults, lan)
	n, err := d.Apply(t.Context(), []steer.Change{{Op: steer.Add, Prefixes: []netip.Prefix{lan}, To: hops(t, "198.51.100.13"), Adopt: true}})
	if n != 0 || err == nil || !strings.Contains(err.Error(), "is a connected network of this machine") {
		t.Errorf("Apply took %d changes: %v", n, err)
	}
	wantLines(t, d, "192.0.2.0/24 FOREIGN | proto kernel metric 0 dev lan0")
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	r := newRouter(t)
	d := r.open(defaults, vip4, vip6)
	for _, test := range []struct {
		name string
		c    steer.Change
		want string
	}{
		{"not connected", steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{vip4}, To: hops(t, "10.9.9.9")},
			"10.9.9.9 is not on a connected network of this machine"},
		{"one of two not connected", steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{vip4}, To: hops(t, "10.9.9.9 192.0.2.11")},
			"not all of 10.9.9.9, 192.0.2.11 are on connected networks"},
		{"not connected, IPv6", steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{vip6}, To: hops(t, "2001:db8:9::9")},
			"2001:db8:9::9 is not on a connected network of this machine"},
		{"own address", steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{vip6}, To: hops(t, "2001:db8:1::1")},
			"is 2001:db8:1::1 an address of a server, not of this machine?"},
		{"given twice", steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.11 192.0.2.11")},
			"next hop 192.0.2.11 is given twice; use a weight"},
		{"too heavy", steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.11*257 192.0.2.12")},
			"next hop 192.0.2.11 has weight 257; Linux knows 1 to 256"},
		{"wrong family", steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{vip6}, To: hops(t, "192.0.2.11")},
			"an IPv6 prefix cannot have the IPv4 next hop 192.0.2.11"},
		{"no such operation", steer.Change{Op: "paint", Prefixes: []netip.Prefix{vip4}}, `no such operation: "paint"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			n, err := d.Apply(t.Context(), []steer.Change{test.c})
			var refused *drivers.ChangeError
			if n != 0 || !errors.As(err, &refused) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Apply took %d changes:\n%v\nwant\n%s", n, err, test.want)
			}
			wantLines(t, d)
		})
	}
}

func TestRenderedCommandsDoWhatApplyDoes(t *testing.T) {
	cfg := topology.Linux{Table: 5253, Metric: 42, Protocol: 82}
	both := []netip.Prefix{vip4, vip6}
	byHand, byDriver := newRouter(t), newRouter(t)
	hand, driver := byHand.open(cfg, both...), byDriver.open(cfg, both...)
	for _, step := range [][]steer.Change{
		{{Op: steer.Add, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.11")}, {Op: steer.Add, Prefixes: []netip.Prefix{vip6}, To: hops(t, "2001:db8:1::11")}},
		{{Op: steer.Replace, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.11*3 198.51.100.13")},
			{Op: steer.Replace, Prefixes: []netip.Prefix{vip6}, To: hops(t, "2001:db8:1::11 2001:db8:2::13*2")}},
		{{Op: steer.Replace, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.12")}, {Op: steer.Add, Adopt: true, Prefixes: []netip.Prefix{vip6}, To: hops(t, "2001:db8:1::12")}},
		{{Op: steer.Replace, Prefixes: []netip.Prefix{vip4}, To: hops(t, "2001:db8:1::12")}},
		{{Op: steer.Remove, Prefixes: []netip.Prefix{vip4}}, {Op: steer.Remove, Prefixes: []netip.Prefix{vip6}}},
	} {
		mustApply(t, driver, step...)
		for _, command := range hand.Render(step) {
			byHand.run(byHand.kernel, command)
		}
		got, want := lines(t, hand), lines(t, driver)
		if !slices.Equal(got, want) {
			t.Errorf("%q gives\n%q\nApply gives\n%q", hand.Render(step), got, want)
		}
	}
}

func TestOpenWorksInTheCallersNamespaceAndStaysThere(t *testing.T) {
	r := newRouter(t)
	var d *Driver
	if err := r.kernel.Do(func() (err error) {
		d, err = Open(defaults, lone(vip4), quiet())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	mustApply(t, d, steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.11")})
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := r.ip("route show proto 82"); !strings.Contains(got, "203.0.113.32/27 via 192.0.2.11") {
		t.Errorf("after Close, of our routes there are: %q", got)
	}
}

func TestOpenRefusesHostBits(t *testing.T) {
	if _, err := Open(defaults, lone(netip.MustParsePrefix("203.0.113.33/27")), quiet()); err == nil {
		t.Error("Open took 203.0.113.33/27")
	}
}

func TestWaitEndsWithTheContextAndTheSocketGoesOn(t *testing.T) {
	r := newRouter(t)
	d := r.open(defaults, vip4)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := d.requests.during(ctx, func() error {
		_, err := d.requests.receive() // of nothing that was asked for
		return err
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the wait ended with %v", err)
	}
	mustApply(t, d, steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.11")})
}

func TestAbandonedDumpDoesNotSpoilTheNext(t *testing.T) {
	r := newRouter(t)
	d := r.open(defaults, vip4)
	mustApply(t, d, steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.11")})
	var many strings.Builder
	for i := range 3000 { // more than one datagram of a dump
		many.WriteString("route add 10." + octets(i) + "/32 via 192.0.2.12\n")
	}
	r.batch(many.String())
	want := lines(t, d)
	request := dumpRoutes(familyOf(vip4.Addr()), 254)
	request.flags = unix.NLM_F_REQUEST | unix.NLM_F_DUMP
	if err := d.requests.send(request.encode(nil, 1)); err != nil {
		t.Fatal(err)
	}
	if got := lines(t, d); !reflect.DeepEqual(got, want) {
		t.Errorf("Routes tells %q, want %q", got, want)
	}
}

func octets(i int) string {
	return netip.AddrFrom4([4]byte{0, byte(i >> 16), byte(i >> 8), byte(i)}).String()[2:]
}

// sysctl sets a network parameter of the router's namespace.
func (r *router) sysctl(name, value string) {
	r.t.Helper()
	if err := r.kernel.Do(func() error {
		return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0)
	}); err != nil {
		r.t.Fatal(err)
	}
}
