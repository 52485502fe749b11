package iostest_test

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/drivers/cisco/iostest"
)

var (
	own    = []netip.Addr{netip.MustParseAddr("10.0.0.254")}
	vip    = netip.MustParsePrefix("10.1.1.0/27")
	first  = netip.MustParseAddr("10.0.0.1")
	second = netip.MustParseAddr("10.0.0.2")
)

const (
	line1 = "ip route 10.1.1.0 255.255.255.224 10.0.0.1"
	line2 = "ip route 10.1.1.0 255.255.255.224 10.0.0.2"
)

// inBubble runs a test with a router that nobody logs in to.
func inBubble(t *testing.T, o iostest.Options, test func(t *testing.T, r *iostest.Router)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := iostest.New(o)
		defer r.Close()
		test(t, r)
	})
}

func TestTheSameNextHopAgainReplacesItsOptions(t *testing.T) {
	inBubble(t, iostest.Options{Dialect: "ios"}, func(t *testing.T, r *iostest.Router) {
		r.Set(line1+" tag 5", line1+" 10 name web1")
		want(t, r.Config(), line1+" 10 name web1")
		if h := r.Guard(vip); len(h.Gaps) != 0 || len(h.States) != 1 {
			t.Errorf("a replacement was seen in forwarding: %+v", h)
		}
	})
}

func TestADistinctDistanceIsASecondRouteIfAsked(t *testing.T) {
	inBubble(t, iostest.Options{Dialect: "ios", Distinct: true}, func(t *testing.T, r *iostest.Router) {
		r.Set(line1, line1+" 10")
		want(t, r.Config(), line1, line1+" 10")
	})
}

func TestNoWithoutNextHopRemovesEveryRouteOfAPrefix(t *testing.T) {
	inBubble(t, iostest.Options{Dialect: "ios"}, func(t *testing.T, r *iostest.Router) {
		r.Set(line1, line2+" 10", "no ip route 10.1.1.0 255.255.255.224")
		want(t, r.Config())
	})
}

func TestNoNamesTheOptionsOfTheRouteUnlessLoose(t *testing.T) {
	for _, loose := range []bool{false, true} {
		with(t, iostest.Options{LooseNo: loose}, func(t *testing.T, r *iostest.Router, c *client) {
			r.Set(line1 + " tag 5 name web1")
			said := c.types("configure terminal", "no "+line1+" name web2")
			if refused := strings.Contains(said, "%No matching route to delete"); refused == loose {
				t.Errorf("loose %v: %s", loose, said)
			}
		})
	}
}

func TestNoWithoutNextHopIsIncompleteIfAsked(t *testing.T) {
	with(t, iostest.Options{NoNeeds: true}, func(t *testing.T, r *iostest.Router, c *client) {
		r.Set(line1)
		contains(t, c.types("configure terminal", "no ip route 10.1.1.0 255.255.255.224"), "% Incomplete command.")
		want(t, r.Config(), line1)
	})
}

func TestARouteByAnInterfaceIsAnother(t *testing.T) {
	with(t, iostest.Options{}, func(t *testing.T, r *iostest.Router, c *client) {
		r.Set("ip route 10.1.1.0 255.255.255.224 GigabitEthernet0/1 10.0.0.1")
		contains(t, c.types("configure terminal", "no "+line1), "%No matching route to delete")
	})
}

func TestOptionsArePrintedInTheOrderOfTheRelease(t *testing.T) {
	o := iostest.Options{Dialect: "ios", Order: []string{"distance", "name", "track", "tag", "permanent"}}
	inBubble(t, o, func(t *testing.T, r *iostest.Router) {
		r.Set(line1 + " 10 tag 5 permanent track 7 name web1")
		want(t, r.Config(), line1+" 10 name web1 track 7 tag 5 permanent")
	})
}

func TestTheLeastDistanceForwards(t *testing.T) {
	inBubble(t, iostest.Options{Dialect: "ios"}, func(t *testing.T, r *iostest.Router) {
		r.Set(line1, line2+" 10")
		hops(t, r, first)
		r.Set("no " + line1)
		hops(t, r, second)
		if gaps := r.Guard(vip).Gaps; len(gaps) != 0 {
			t.Errorf("a floating route left gaps: %v", gaps)
		}
	})
}

func TestRemovingFirstLeavesAGapAndAddingFirstNone(t *testing.T) {
	inBubble(t, iostest.Options{Dialect: "ios"}, func(t *testing.T, r *iostest.Router) {
		r.Set(line1, line2, "no "+line1)
		if gaps := r.Guard(vip).Gaps; len(gaps) != 0 {
			t.Errorf("make before break left gaps: %v", gaps)
		}
		r.Set("no " + line2)
		time.Sleep(time.Second)
		r.Set(line1)
		gaps := r.Guard(vip).Gaps
		if len(gaps) != 1 || gaps[0].To.Sub(gaps[0].From) != time.Second {
			t.Errorf("gaps are %v, want one of a second", gaps)
		}
		r.Set("no "+line1, line1)
		if len(r.Guard(vip).Gaps) != 2 {
			t.Error("a gap that lasts no time was missed")
		}
	})
}

func TestAcceptedIsNotInstalled(t *testing.T) {
	o := iostest.Options{Dialect: "ios", Faults: iostest.Faults{InstallDelay: time.Minute}}
	inBubble(t, o, func(t *testing.T, r *iostest.Router) {
		r.Set(line1)
		hops(t, r)
		time.Sleep(time.Minute)
		synctest.Wait()
		hops(t, r, first)
		r.Set(line2, "no "+line1)
		if gaps := r.Guard(vip).Gaps; len(gaps) != 1 {
			t.Errorf("removing before the new one was installed left the gaps %v, want one", gaps)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		hops(t, r, second)
	})
}

func TestAChangeOfOptionsOrOfTheDelayLeavesInstalledWhatIs(t *testing.T) {
	inBubble(t, iostest.Options{Dialect: "ios"}, func(t *testing.T, r *iostest.Router) {
		r.Set(line1)
		r.Change(func(f *iostest.Faults) { f.InstallDelay = time.Minute })
		r.Set(line1 + " tag 5")
		hops(t, r, first)
		if gaps := r.Guard(vip).Gaps; len(gaps) != 0 {
			t.Errorf("gaps: %v", gaps)
		}
	})
}

func TestAnUnreachableNextHopIsNeverInstalled(t *testing.T) {
	o := iostest.Options{Dialect: "ios", Faults: iostest.Faults{Unreachable: []netip.Addr{first}}}
	inBubble(t, o, func(t *testing.T, r *iostest.Router) {
		r.Set(line1)
		time.Sleep(time.Hour)
		hops(t, r)
		r.Change(func(f *iostest.Faults) { f.Unreachable = nil })
		hops(t, r, first)
	})
}

func TestACommitReplacesWithoutGap(t *testing.T) {
	inBubble(t, iostest.Options{Dialect: "iosxr"}, func(t *testing.T, r *iostest.Router) {
		r.Set("router static", "address-family ipv4 unicast", "10.1.1.0/27 10.0.0.1")
		r.Set("router static", "address-family ipv4 unicast", "no 10.1.1.0/27 10.0.0.1", "10.1.1.0/27 10.0.0.2")
		hops(t, r, second)
		if gaps := r.Guard(vip).Gaps; len(gaps) != 0 {
			t.Errorf("gaps: %v", gaps)
		}
	})
}

func TestSetPanicsOnALineThatIsRefused(t *testing.T) {
	inBubble(t, iostest.Options{Dialect: "ios"}, func(t *testing.T, r *iostest.Router) {
		defer func() {
			if recover() == nil {
				t.Error("a line that is refused passed")
			}
		}()
		r.Set("ip route 10.1.1.1 255.255.255.224 10.0.0.1")
	})
}

// A row is a route of the model.
type row struct {
	prefix netip.Prefix
	hop    netip.Addr
	dist   int
	name   string
}

// A model is the simplest router that could be right.
type model map[[2]string]row

func (m model) key(r row) [2]string { return [2]string{r.prefix.String(), r.hop.String()} }

// installed is what forwards a prefix.
func (m model) installed(p netip.Prefix) []netip.Addr {
	least := 255
	for _, r := range m {
		if r.prefix == p {
			least = min(least, max(r.dist, 1))
		}
	}
	var hops []netip.Addr
	for _, r := range m {
		if r.prefix == p && max(r.dist, 1) == least {
			hops = append(hops, r.hop)
		}
	}
	slices.SortFunc(hops, netip.Addr.Compare)
	return hops
}

// text is the line of a row in a dialect with prefix lengths or masks.
func (r row) text(dialect string) string {
	line := fmt.Sprintf("ip route %s %s", r.prefix, r.hop)
	if dialect == "ios" {
		line = fmt.Sprintf("ip route %s %s %s", r.prefix.Addr(), dotted[r.prefix.Bits()], r.hop)
	}
	dist, name := "", ""
	if r.dist > 1 {
		dist = fmt.Sprintf(" %d", r.dist)
	}
	if r.name != "" {
		name = " name " + r.name
	}
	if dialect == "nxos" {
		return line + name + dist
	}
	return line + dist + name
}

var dotted = map[int]string{24: "255.255.255.0", 27: "255.255.255.224", 32: "255.255.255.255"}

// anyRow draws from few prefixes and next hops, so that lines meet.
func anyRow(t *rapid.T) row {
	addr := netip.AddrFrom4([4]byte{10, 1, byte(rapid.IntRange(0, 1).Draw(t, "net")), 0})
	bits := rapid.SampledFrom([]int{24, 27, 32}).Draw(t, "bits")
	return row{
		prefix: netip.PrefixFrom(addr, bits),
		hop:    netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(1, 3).Draw(t, "hop"))}),
		dist:   rapid.SampledFrom([]int{0, 5, 10}).Draw(t, "distance"),
		name:   rapid.SampledFrom([]string{"", "web1", "routesteer-web2"}).Draw(t, "name"),
	}
}

func TestRandomLinesAreWhatTheModelSays(t *testing.T) {
	for _, dialect := range []string{"ios", "nxos", "eos"} {
		t.Run(dialect, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				r := iostest.New(iostest.Options{Dialect: dialect})
				defer r.Close()
				m := model{}
				for range rapid.IntRange(1, 12).Draw(t, "lines") {
					step(t, r, m, dialect)
				}
				agree(t, r, m, dialect)
			})
		})
	}
}

// step configures a random route, or removes one that is there.
func step(t *rapid.T, r *iostest.Router, m model, dialect string) {
	one := anyRow(t)
	have, there := m[m.key(one)]
	if there && rapid.Bool().Draw(t, "remove") {
		r.Set("no " + have.text(dialect))
		delete(m, m.key(one))
		return
	}
	r.Set(one.text(dialect))
	m[m.key(one)] = one
}

// agree compares the router with the model: its lines, what they forward, and
// that the lines make the same router again.
func agree(t *rapid.T, r *iostest.Router, m model, dialect string) {
	var lines []string
	for _, one := range m {
		lines = append(lines, one.text(dialect))
		if got, want := r.Installed(one.prefix), m.installed(one.prefix); !slices.Equal(got, want) {
			t.Fatalf("%s is forwarded by %v, want %v", one.prefix, got, want)
		}
	}
	got := r.Config()
	again := iostest.New(iostest.Options{Dialect: dialect})
	again.Set(got...)
	if !slices.Equal(again.Config(), got) {
		t.Fatalf("typed again, %q makes %q", got, again.Config())
	}
	slices.SortFunc(lines, cmp.Compare)
	slices.SortFunc(got, cmp.Compare)
	if !slices.Equal(got, lines) {
		t.Fatalf("configured is %q, want %q", got, lines)
	}
}

// want compares lines.
func want(t *testing.T, got []string, lines ...string) {
	t.Helper()
	if !slices.Equal(got, lines) {
		t.Errorf("configured is %q, want %q", got, lines)
	}
}

// hops compares what forwards vip.
func hops(t *testing.T, r *iostest.Router, addrs ...netip.Addr) {
	t.Helper()
	if got := r.Installed(vip); !slices.Equal(got, addrs) {
		t.Errorf("%s is forwarded by %v, want %v", vip, got, addrs)
	}
}
