package linux

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/drivers/drivertest"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// whole is a change of prefixes, which are sorted.
func whole(op steer.Op, prefixes []netip.Prefix, to []steer.NextHop) steer.Change {
	return steer.Change{Op: op, Prefixes: prefixes, Cohort: "a", To: to}
}

// apply makes changes that all take effect.
func apply(t testing.TB, d *Driver, changes ...steer.Change) {
	t.Helper()
	if n, err := d.Apply(t.Context(), changes); n != steer.Prefixes(changes) || err != nil {
		t.Fatalf("Apply changed %d of %d prefixes: %v", n, steer.Prefixes(changes), err)
	}
}

// told checks that Routes tells of the prefixes via the next hops, and nothing
// else, and that all is in order.
func told(t testing.TB, d *Driver, prefixes []netip.Prefix, to []steer.NextHop) {
	t.Helper()
	routes, err := d.Routes(t.Context())
	if err != nil || len(routes) != len(prefixes) {
		t.Fatalf("Routes tells %d routes: %v, want %d", len(routes), err, len(prefixes))
	}
	for i, r := range routes {
		if r.Prefix != prefixes[i] || !slices.Equal(r.NextHops, to) || r.Foreign || r.Stray {
			t.Fatalf("Routes tells %+v, want %s via %s", r, prefixes[i], steer.FormatNextHops(to))
		}
	}
}

// kinds counts the messages that the kernel has sent to news.
func kinds(t *testing.T, news *socket) map[uint16]int {
	t.Helper()
	count := map[uint16]int{}
	for _, m := range pending(t, news) {
		count[m.kind]++
	}
	return count
}

var families = []struct {
	name       string
	six        bool
	one, other string
	both       string
}{
	{"IPv4", false, "192.0.2.11", "198.51.100.13", "192.0.2.11*3 198.51.100.13"},
	{"IPv6", true, "2001:db8:1::11", "2001:db8:2::13", "2001:db8:1::11*3 2001:db8:2::13"},
	{"IPv4 by IPv6", false, "2001:db8:1::11", "2001:db8:2::13", "2001:db8:1::11*3 2001:db8:2::13"},
}

func TestExamWithoutNexthopObjectsAndWithResilientOnes(t *testing.T) {
	resilient := defaults
	resilient.Resilient = true
	for name, b := range map[string]*bench{
		"without objects":   {cfg: defaults, prepare: func(d *Driver) { d.plainOnly = true }},
		"resilient":         {cfg: resilient},
		"compatibility off": {cfg: defaults, compat: "0"},
	} {
		t.Run(name, func(t *testing.T) {
			b.router = newRouter(t)
			if b.compat != "" {
				b.router.sysctl("ipv4/nexthop_compat_mode", b.compat)
			}
			drivertest.Exam(t, b)
		})
	}
}

// A move of a cohort is one message, and one for each next hop beside others
// that is new, whatever the number of prefixes.
func TestCohortMovesByOneMessage(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			r := newRouter(t)
			r.sysctl("ipv4/nexthop_compat_mode", "0") // else the kernel tells of each route
			prefixes := many(1000, f.six)
			d := r.openCohorts(defaults, prefixes)
			apply(t, d, whole(steer.Add, prefixes, hops(t, f.one)))
			told(t, d, prefixes, hops(t, f.one))
			news := listen(t, r)
			for i, step := range []struct {
				to      string
				objects int
			}{{f.other, 1}, {f.one, 1}, {f.both, 2}, {f.other, 1}, {f.one, 1}, {f.both, 2}, {f.one, 1}, {f.other, 1}, {f.other, 0}} {
				look := d.kept
				apply(t, d, whole(steer.Replace, prefixes, hops(t, step.to)))
				if d.kept != look {
					t.Errorf("move %d did not keep the look", i)
				}
				count := kinds(t, news)
				if count[unix.RTM_NEWNEXTHOP] != step.objects || len(count) > 1 {
					t.Errorf("move %d to %s gave the messages %v, want %d of RTM_NEWNEXTHOP (%d)", i, step.to, count, step.objects, unix.RTM_NEWNEXTHOP)
				}
			}
			told(t, d, prefixes, hops(t, f.other))
			kinds(t, news)
			apply(t, d, whole(steer.Replace, prefixes[7:8], hops(t, f.one)))
			if count := kinds(t, news); count[unix.RTM_NEWROUTE] != 1 || count[unix.RTM_NEWNEXTHOP] != 0 {
				t.Errorf("one prefix moved by %v", count)
			}
			if err := news.close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// What others did just before Apply, and after the look that Apply would go
// by, is noticed.
func TestLastLookIsNotTrustedBeyondTheNews(t *testing.T) {
	for _, f := range families[:2] {
		for _, test := range []struct {
			name string
			do   func(*router, netip.Prefix, uint32)
			want string // of the errors
		}{
			{"a foreign route", func(r *router, p netip.Prefix, _ uint32) {
				r.ip("%s route replace %s via %s proto static", flag(p), p, f.other)
			}, "a foreign route stands there"},
			{"a route taken", func(r *router, p netip.Prefix, _ uint32) { r.ip("%s route del %s", flag(p), p) }, ""},
			{"the group deleted", func(r *router, _ netip.Prefix, group uint32) { r.ip("nexthop del id %d", group) }, ""},
			{"the group moved", func(r *router, _ netip.Prefix, group uint32) {
				r.ip("nexthop add id 7 via %s dev lan1", f.other)
				r.ip("nexthop replace id %d group 7 proto 82", group)
			}, ""},
			{"the interface down and up", func(r *router, p netip.Prefix, _ uint32) {
				r.ip("link set lan0 down")
				r.ip("link set lan0 up")
				if f.six {
					r.ip("address replace 2001:db8:1::1/64 dev lan0 nodad")
				}
			}, ""},
		} {
			t.Run(f.name+", "+test.name, func(t *testing.T) {
				r := newRouter(t)
				prefixes := many(10, f.six)
				d := r.openCohorts(defaults, prefixes)
				apply(t, d, whole(steer.Add, prefixes, hops(t, f.one)))
				told(t, d, prefixes, hops(t, f.one))
				test.do(r, prefixes[3], d.kept.holds[0].group)
				n, err := d.Apply(t.Context(), []steer.Change{whole(steer.Replace, prefixes, hops(t, f.other))})
				if test.want != "" {
					if n != 9 || err == nil || !strings.Contains(err.Error(), test.want) {
						t.Errorf("Apply changed %d prefixes: %v", n, err)
					}
					return
				}
				if n != 10 || err != nil {
					t.Errorf("Apply changed %d prefixes: %v", n, err)
				}
				settle(t, d, prefixes, hops(t, f.other))
			})
		}
	}
}

// settle has what is not in order put right once, as a controller does.
func settle(t testing.TB, d *Driver, prefixes []netip.Prefix, to []steer.NextHop) {
	t.Helper()
	routes, err := d.Routes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var stray []netip.Prefix
	for _, r := range routes {
		if r.Stray {
			stray = append(stray, r.Prefix)
		}
	}
	if len(stray) > 0 {
		apply(t, d, whole(steer.Replace, stray, to))
	}
	told(t, d, prefixes, to)
}

// The kernel sends a message for each route of a nexthop object that is
// replaced (nexthop_compat_mode=1, the default), which no buffer holds.
func TestOurOwnMovesWakeNobody(t *testing.T) {
	for _, f := range families[:2] {
		t.Run(f.name, func(t *testing.T) {
			r := newRouter(t)
			prefixes := many(20000, f.six)
			d, err := open(inNamespace(r.kernel.Fd()), defaults, [][]netip.Prefix{prefixes}, quiet(), 1)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}()
			apply(t, d, whole(steer.Add, prefixes, hops(t, f.one)))
			told(t, d, prefixes, hops(t, f.one))
			look := d.kept
			for _, to := range []string{f.other, f.one, f.both} {
				apply(t, d, whole(steer.Replace, prefixes, hops(t, to)))
			}
			select {
			case <-d.Changed():
				t.Error("our own moves gave a signal")
			default:
			}
			if d.kept != look {
				t.Error("our own moves spoiled the look")
			}
			r.ip("%s route del %s", flag(prefixes[0]), prefixes[0])
			waitUntil(t, d, "a route taken", func() bool { return true })
		})
	}
}

// A storm of others' changes costs one look, not one for each.
func TestStormOfOthersChangesIsOneSignal(t *testing.T) {
	r := newRouter(t)
	prefixes := many(20000, false)
	d := r.openCohorts(defaults, prefixes)
	apply(t, d, whole(steer.Add, prefixes, hops(t, "192.0.2.11")))
	told(t, d, prefixes, hops(t, "192.0.2.11"))
	r.ip("nexthop add id 7 via 192.0.2.12 dev lan0")
	r.ip("nexthop replace id %d group 7 proto 82", d.kept.holds[0].group) // 20,000 messages more than fit
	signals := 0
	for waitQuiet(t, d) {
		signals++
		if _, err := d.Routes(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if signals == 0 || signals > 4 {
		t.Errorf("%d looks were called for", signals)
	}
	apply(t, d, whole(steer.Replace, prefixes, hops(t, "192.0.2.13")))
	told(t, d, prefixes, hops(t, "192.0.2.13"))
}

func TestOrphansGoAndOthersObjectsStay(t *testing.T) {
	r := newRouter(t)
	prefixes := many(4, false)
	for _, object := range []string{
		fmt.Sprintf("id %d via 192.0.2.11 dev lan0 proto 82", firstObject),     // an orphan
		fmt.Sprintf("id %d group %d proto 82", firstObject+1, firstObject),     // the same
		fmt.Sprintf("id %d via 192.0.2.12 dev lan0 proto 99", firstObject+2),   // another's protocol
		fmt.Sprintf("id %d via 192.0.2.12 dev lan0 proto 82", lastObject+1),    // out of our range
		fmt.Sprintf("id %d via 192.0.2.12 dev lan0 proto 82", firstObject+3),   // used by the next
		fmt.Sprintf("id %d group %d proto 82", firstObject+4, firstObject+3),   // used by a route
		fmt.Sprintf("id %d via 192.0.2.13 dev lan0 proto 82", firstObject+100), // used by another's group
		fmt.Sprintf("id 12 group %d", firstObject+100),
	} {
		r.ip("nexthop add %s", object)
	}
	r.ip("route add 203.0.113.0/24 nhid %d table 99", firstObject+4)
	objects := func() []string {
		ids := regexp.MustCompile(`(?m)^id \d+`).FindAllString(r.ip("nexthop show"), -1)
		slices.Sort(ids)
		return ids
	}
	kept := []string{"id 12", fmt.Sprint("id ", firstObject+2), fmt.Sprint("id ", lastObject+1),
		fmt.Sprint("id ", firstObject+3), fmt.Sprint("id ", firstObject+4), fmt.Sprint("id ", firstObject+100)}
	slices.Sort(kept)

	d := r.openCohorts(defaults, prefixes)
	told(t, d, nil, nil) // a look changes nothing
	if got := len(objects()); got != 8 {
		t.Errorf("after a look there are %d objects, want 8", got)
	}
	apply(t, d, whole(steer.Add, prefixes, hops(t, "192.0.2.14")))
	if got := len(objects()); got != len(kept)+2 {
		t.Errorf("with a cohort's two there are the objects %v", objects())
	}
	told(t, d, prefixes, hops(t, "192.0.2.14"))
	apply(t, d, whole(steer.Remove, prefixes, nil))
	if got := objects(); !slices.Equal(got, kept) {
		t.Errorf("left are %v, want %v", got, kept)
	}

	r.ip("route del 203.0.113.0/24 table 99")
	if err := r.kernel.Do(func() error {
		orphans, err := Orphans(t.Context(), defaults.Protocol, nil)
		if len(orphans) != 2 {
			t.Errorf("orphans: %v, want 2", orphans)
		}
		for _, id := range orphans {
			err = errors.Join(err, RemoveOrphan(t.Context(), id))
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// A group that other routes use as well is not ours to move.
func TestGroupThatOthersUseIsLeftWhereItIs(t *testing.T) {
	r := newRouter(t)
	prefixes := many(4, false)
	d := r.openCohorts(defaults, prefixes)
	apply(t, d, whole(steer.Add, prefixes, hops(t, "192.0.2.11")))
	told(t, d, prefixes, hops(t, "192.0.2.11"))
	r.ip("route add 203.0.113.0/24 nhid %d proto static", d.kept.holds[0].group)
	apply(t, d, whole(steer.Replace, prefixes, hops(t, "192.0.2.12")))
	told(t, d, prefixes, hops(t, "192.0.2.12"))
	if got := r.ip("route get 203.0.113.9"); !strings.Contains(got, "via 192.0.2.11") {
		t.Errorf("the other route was moved along: %s", got)
	}

	member := d.kept.objects[d.kept.holds[0].group].members[0].id
	r.ip("nexthop add id 12 group %d", member)
	r.ip("route add 198.18.0.0/24 nhid 12 proto static")
	apply(t, d, whole(steer.Replace, prefixes, hops(t, "192.0.2.13")))
	told(t, d, prefixes, hops(t, "192.0.2.13"))
	if got := r.ip("route get 198.18.0.9"); !strings.Contains(got, "via 192.0.2.12") {
		t.Errorf("the route by another's group was moved along: %s", got)
	}
}

func TestCohortWhoseInterfaceLostItsCarrierIsWrittenByItself(t *testing.T) {
	r := newRouter(t)
	prefixes := many(4, false)
	d := r.openCohorts(defaults, prefixes)
	apply(t, d, whole(steer.Add, prefixes, hops(t, "192.0.2.11")))
	told(t, d, prefixes, hops(t, "192.0.2.11"))
	r.run(r.wires, "ip link set lan0 down")
	waitUntil(t, d, "the carrier lost, and with it the group and its routes", func() bool { return len(lines(t, d)) == 0 })
	apply(t, d, whole(steer.Add, prefixes, hops(t, "192.0.2.11"))) // as plain routes, which the kernel takes
	told(t, d, prefixes, hops(t, "192.0.2.11"))
	apply(t, d, whole(steer.Replace, prefixes, hops(t, "198.51.100.13")))
	settle(t, d, prefixes, hops(t, "198.51.100.13"))
	r.run(r.wires, "ip link set lan0 up")
	waitUntil(t, d, "the carrier back", func() bool {
		n, err := d.Apply(t.Context(), []steer.Change{whole(steer.Replace, prefixes, hops(t, "192.0.2.11"))})
		return n == 4 && err == nil
	})
	settle(t, d, prefixes, hops(t, "192.0.2.11"))
}

// A plain route would be given the interface anew; so is the object.
func TestNextHopThatIsReachedByAnotherInterfaceNow(t *testing.T) {
	r := newRouter(t)
	prefixes := many(4, false)
	d := r.openCohorts(defaults, prefixes)
	apply(t, d, whole(steer.Add, prefixes, hops(t, "192.0.2.11")))
	told(t, d, prefixes, hops(t, "192.0.2.11"))
	r.ip("address add 192.0.2.2/27 dev lan1")
	apply(t, d, whole(steer.Replace, prefixes, hops(t, "192.0.2.12")))
	apply(t, d, whole(steer.Replace, prefixes, hops(t, "192.0.2.11")))
	told(t, d, prefixes, hops(t, "192.0.2.11"))
	if got := r.ip("route get %s", prefixes[0].Addr()); !strings.Contains(got, "dev lan1") {
		t.Errorf("the next hop is still looked for at %s", got)
	}

	apply(t, d, whole(steer.Replace, prefixes, hops(t, "192.0.2.11 198.51.100.13"))) // a group keeps its member
	r.ip("address del 192.0.2.2/27 dev lan1")
	apply(t, d, whole(steer.Replace, prefixes, hops(t, "192.0.2.11 198.51.100.13*2")))
	told(t, d, prefixes, hops(t, "192.0.2.11 198.51.100.13*2"))
	if got := r.ip("nexthop show"); !strings.Contains(got, "via 192.0.2.11 dev lan0") {
		t.Errorf("the member is still looked for elsewhere:\n%s", got)
	}
}

// The kernel's refusals of objects, which one that has them gives at odd times
// only, lead to plain routes.
func TestRefusedObjectsLeadToPlainRoutes(t *testing.T) {
	for _, test := range []struct {
		errno    unix.Errno
		repeated bool
		plain    bool
		unfit    bool
	}{
		{unix.EOPNOTSUPP, false, true, false},
		{unix.EPERM, false, true, false},
		{unix.EEXIST, false, false, false},
		{unix.EEXIST, true, false, true},
		{unix.ENETDOWN, false, false, true},
	} {
		d := &Driver{cfg: defaults, log: quiet(), unfit: map[netip.Addr]bool{}}
		single := object{nexthop: nexthop{id: firstObject, hop: hop{gateway: netip.MustParseAddr("192.0.2.11"), weight: 1}}}
		p := &plan{repeated: test.repeated}
		d.settleObject(p, single, &refusal{errno: test.errno})
		if !p.again || d.plainOnly != test.plain || d.unfit[single.nexthop.hop.gateway] != test.unfit {
			t.Errorf("after %v, repeated %v: again %v, plain %v, unfit %v", test.errno, test.repeated, p.again, d.plainOnly, d.unfit)
		}
	}
}

func TestResilientGroupIsAsDocumented(t *testing.T) {
	r := newRouter(t)
	cfg := topology.Linux{Table: 254, Protocol: 82, Resilient: true}
	prefixes := many(2, false)
	lonely := netip.MustParsePrefix("203.0.113.32/27")
	d := r.openCohorts(cfg, prefixes, []netip.Prefix{lonely})
	both := hops(t, "192.0.2.11 192.0.2.12")
	apply(t, d, whole(steer.Add, prefixes, both), whole(steer.Add, []netip.Prefix{lonely}, both))
	if got := strings.Count(r.ip("nexthop show"), "type resilient buckets 1024 idle_timer 30 unbalanced_timer 600"); got != 2 {
		t.Errorf("of resilient groups there are %d, want 2:\n%s", got, r.ip("nexthop show"))
	}
	for _, to := range []string{"192.0.2.11", "192.0.2.11 192.0.2.12", "192.0.2.13"} {
		apply(t, d, whole(steer.Replace, prefixes, hops(t, to)))
	}
	apply(t, d, whole(steer.Remove, []netip.Prefix{lonely}, nil))
	told(t, d, prefixes, hops(t, "192.0.2.13"))
	if got := strings.Count(r.ip("nexthop show"), "type resilient"); got != 1 {
		t.Errorf("of resilient groups there are %d, want 1:\n%s", got, r.ip("nexthop show"))
	}

	plain := r.openCohorts(defaults, prefixes) // the file says no more that they are
	settle(t, plain, prefixes, hops(t, "192.0.2.13"))
	if got := r.ip("nexthop show"); strings.Contains(got, "type resilient") {
		t.Errorf("a resilient group is left:\n%s", got)
	}
}

func TestCohortsAreRefusedThatCannotBe(t *testing.T) {
	four, six := many(2, false), many(2, true)
	for name, cohorts := range map[string][][]netip.Prefix{
		"empty":        {{}},
		"two families": {{four[0], six[0]}},
		"unsorted":     {{four[1], four[0]}},
		"twice":        {{four[0]}, {four[0], four[1]}},
	} {
		if d, err := Open(defaults, cohorts, quiet()); err == nil {
			t.Errorf("%s: Open took %v", name, cohorts)
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
