package health_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

var vip2 = netip.MustParsePrefix("203.0.113.64/27")

// several is a site with one server, whose two VIPs have a check of several: web
// and dns through the VIP, agent through the server's address.
func several(needs int) *topology.Site {
	site := newSite(web1)
	of := []topology.CheckName{"web", "dns", "agent"}
	site.Checks = []topology.Check{
		{Name: "agent", Agent: &topology.Agent{Port: 1}, Rise: 2, Fall: 3, Through: topology.ThroughAddress},
		{Name: "dns", DNS: &topology.DNS{}, Rise: 2, Fall: 3, Through: topology.ThroughVIP},
		{Name: "site", Group: &topology.Group{Needs: needs, Of: of}, Through: topology.ThroughVIP},
		{Name: "web", HTTP: &topology.HTTP{}, Rise: 2, Fall: 3, Through: topology.ThroughVIP},
	}
	site.VIPs[0].Check = "site"
	second := site.VIPs[0]
	second.Prefix, second.Entry, second.Judge = vip2, vip2, vip2
	site.VIPs = append(site.VIPs, second)
	return site
}

func part(member topology.CheckName) health.Target {
	return health.Target{Server: "web1", VIP: vip, Member: member}
}

// tell gives a board one round of results a second, in words such as "web+ dns-":
// a pass and a failure. It returns what is news.
func tell(b *health.Board, from time.Time, rounds ...string) (news []string) {
	for i, round := range rounds {
		for word := range strings.FieldsSeq(round) {
			name, passes := strings.CutSuffix(word, "+")
			result := health.Result{Started: from.Add(time.Duration(i) * time.Second)}
			if !passes {
				name = strings.TrimSuffix(word, "-")
				result.Failure = "refused"
			}
			result.Target = part(topology.CheckName(name))
			if name == "web2" {
				result.Target = health.Target{Server: "web1", VIP: vip2, Member: "web"}
			}
			if name == "dns2" {
				result.Target = health.Target{Server: "web1", VIP: vip2, Member: "dns"}
			}
			for _, flip := range b.Observe(result) {
				news = append(news, fmt.Sprintf("%s %s %s: %s", flip.Target.VIP.Addr(), flip.Target.Member, flip.To, flip.Why))
			}
		}
	}
	return news
}

func TestCombine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.SliceOfN(rapid.SampledFrom([]health.Verdict{health.Unknown, health.Up, health.Down}), 1, 8).Draw(t, "members")
		needs := rapid.IntRange(1, len(members)).Draw(t, "needs")
		// What may come of it when what is unknown is known.
		mayBeUp, mayBeDown := false, false
		for known := range 1 << len(members) {
			up := 0
			for i, m := range members {
				if m == health.Up || m == health.Unknown && known>>i&1 == 1 {
					up++
				}
			}
			mayBeUp, mayBeDown = mayBeUp || up >= needs, mayBeDown || up < needs
		}
		want := health.Unknown
		switch {
		case !mayBeDown:
			want = health.Up
		case !mayBeUp:
			want = health.Down
		}
		if got := health.Combine(needs, members); got != want {
			t.Fatalf("%d of %v: %s, want %s", needs, members, got, want)
		}
	})
}

func TestACheckOfSeveralTellsItsMembersApart(t *testing.T) {
	const up, down = "web+ dns+ agent+", "web- dns- agent-"
	for _, c := range []struct {
		name    string
		needs   int
		rounds  []string
		news    []string
		verdict health.Verdict
		why     string
		trend   string
	}{
		{"all are up", 3, []string{up, up}, []string{"203.0.113.32 web up: 2 checks passed", "203.0.113.32 dns up: 2 checks passed", "203.0.113.32  up: agent: 2 checks passed"}, health.Up, "", ""},
		{"one that is not known yet", 3, []string{"web+ dns+", "web+ dns+"}, []string{"203.0.113.32 web up: 2 checks passed", "203.0.113.32 dns up: 2 checks passed"}, health.Unknown, "", ""},
		{"one of all is down, whatever the others", 3, []string{"dns-", "dns-", "dns-"}, []string{"203.0.113.32  down: dns: refused"}, health.Down, "dns: refused", ""},
		{"one of all falls", 3, []string{up, up, "dns- web+"}, []string{"203.0.113.32 web up: 2 checks passed", "203.0.113.32 dns up: 2 checks passed", "203.0.113.32  up: agent: 2 checks passed"}, health.Up, "dns: refused", "falling 1/3"},
		{"any", 1, []string{"agent+", "agent+"}, []string{"203.0.113.32  up: agent: 2 checks passed", "203.0.113.64  up: agent: 2 checks passed"}, health.Up, "", ""},
		{"another one of any", 1, []string{"agent+", "agent+", "web+ dns-", "web+ dns-", "dns-", "dns+"}, []string{
			"203.0.113.32  up: agent: 2 checks passed", "203.0.113.64  up: agent: 2 checks passed",
			"203.0.113.32 web up: 2 checks passed", "203.0.113.32 dns down: refused",
		}, health.Up, "", ""},
		{"none of any", 1, []string{down, down, down}, []string{
			"203.0.113.32 web down: refused", "203.0.113.32 dns down: refused", "203.0.113.32  down: agent: refused",
		}, health.Down, "web: refused; dns: refused; agent: refused", ""},
		{"a quorum is lost", 2, []string{"web- dns-", "web- dns-", "web- dns-", "web+"}, []string{
			"203.0.113.32 web down: refused", "203.0.113.32  down: dns: refused",
		}, health.Down, "web: refused; dns: refused", "rising 1/2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := health.NewBoard(several(c.needs))
			if got := tell(b, noon, c.rounds...); !slices.Equal(got, c.news) {
				t.Errorf("news\n%q\nwant\n%q", got, c.news)
			}
			if s := b.State(one); s.Verdict != c.verdict || s.Why != c.why || s.Trend() != c.trend {
				t.Errorf("%s, %q, %q; want %s, %q, %q", s.Verdict, s.Why, s.Trend(), c.verdict, c.why, c.trend)
			}
		})
	}
}

func TestALossTakesAllMembersAtOnceAndIsToldOnceForEachVIP(t *testing.T) {
	b := health.NewBoard(several(2))
	b.Observe(health.Found{Server: "web1", Address: web1, At: noon})
	all := "web+ dns+ agent+ web2+ dns2+"
	tell(b, noon, all, all)
	flips := b.Observe(health.Loss{Server: "web1", Address: web1, At: noon.Add(time.Minute), Failure: "no reply to 3 echoes"})
	if len(flips) != 2 || flips[0].Target != one || flips[1].Target.VIP != vip2 || flips[1].Target.Member != "" || flips[0].To != health.Down {
		t.Errorf("flips %+v, want one for each VIP", flips)
	}
	// Two members are up again, and with them the quorum.
	tell(b, noon.Add(2*time.Minute), "web+ dns+", "web+ dns+")
	if s := b.State(one); s.Verdict != health.Up || !s.Since.Equal(noon.Add(121*time.Second)) {
		t.Errorf("%s since %s, want up since 12:02:01", s.Verdict, s.Since)
	}
	if flips := b.BringDown(one, noon.Add(3*time.Minute), "proof failed"); len(flips) == 0 || b.State(one).Verdict != health.Down {
		t.Errorf("brought down: %+v, %s", flips, b.State(one).Verdict)
	}
}

func TestTheWordOfAMemberIsThatOfAllChecksThatItIsIn(t *testing.T) {
	b := health.NewBoard(several(3))
	result := health.Result{Target: part("agent"), Started: noon, Said: &health.Said{Leave: true, Text: "kernel"}}
	flips := b.Observe(result)
	if len(flips) != 2 || flips[0].Why != "agent: asks to be drained: kernel" || flips[0].Target != one || flips[1].Target.VIP != vip2 {
		t.Errorf("flips %+v", flips)
	}
	tell(b, noon.Add(time.Second), "web+ dns+", "web+ dns+ agent+", "agent+")
	for _, target := range []health.Target{one, {Server: "web1", VIP: vip2}} {
		if got, want := b.State(target).Word, (health.Word{Leave: true, Text: "kernel"}); got != want {
			t.Errorf("%v: word %+v, want %+v", target, got, want)
		}
	}
}

func TestAReloadKeepsWhatIsKnownOfMembers(t *testing.T) {
	b := health.NewBoard(several(3))
	all := "web+ dns+ agent+"
	tell(b, noon, all, all)
	b.SetSite(several(3))
	if s := b.State(one); s.Verdict != health.Up || !s.Since.Equal(noon.Add(time.Second)) {
		t.Errorf("the same site: %s since %s", s.Verdict, s.Since)
	}
	b.SetSite(several(1))
	if s := b.State(health.Target{Server: "web1", VIP: vip2}); s.Verdict != health.Up {
		t.Errorf("when one is enough, the other VIP is %s, want up by its agent", s.Verdict)
	}
	changed := several(3)
	changed.Checks[1].Fall++ // dns
	b.SetSite(changed)
	if s := b.State(one); s.Verdict != health.Unknown {
		t.Errorf("with another dns check: %s, want unknown", s.Verdict)
	}
	if s := b.State(part("web")); s.Verdict != health.Up {
		t.Errorf("web is %s, want up as before", s.Verdict)
	}
}

// TestAVerdictOfSeveralIsThatOfItsMembers holds, for any news, that the verdict is
// what the members' make, that it flips when it changes and only then, that a
// clone stays, and that its time is that of the flip.
func TestAVerdictOfSeveralIsThatOfItsMembers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		needs := rapid.IntRange(1, 3).Draw(t, "needs")
		b := health.NewBoard(several(needs))
		b.Observe(health.Found{Server: "web1", Address: web1, At: noon})
		wholes := []health.Target{one, {Server: "web1", VIP: vip2}}
		for i := range rapid.IntRange(1, 60).Draw(t, "news") {
			at := noon.Add(time.Duration(i) * time.Second)
			was := map[health.Target]health.State{wholes[0]: b.State(wholes[0]), wholes[1]: b.State(wholes[1])}
			clone := b.Clone()
			var flips []health.Flip
			switch rapid.IntRange(0, 20).Draw(t, "kind") {
			case 0:
				flips = b.Observe(health.Loss{Server: "web1", Address: web1, At: at, Failure: "no reply"})
			case 1:
				flips = b.Observe(health.Found{Server: "web1", Address: web1, At: at})
			case 2:
				b.SetSite(several(needs))
			default:
				r := health.Result{Started: at, Target: rapid.SampledFrom(slices.Concat(b.Parts(wholes[0]), b.Parts(wholes[1]))).Draw(t, "of")}
				if rapid.Bool().Draw(t, "fails") {
					r.Failure = "refused"
				}
				flips = b.Observe(r)
			}
			for _, whole := range wholes {
				var members []health.Verdict
				for _, part := range b.Parts(whole) {
					members = append(members, b.State(part).Verdict)
				}
				now := b.State(whole)
				if want := health.Combine(needs, members); now.Verdict != want {
					t.Fatalf("%v makes %s, want %s", members, now.Verdict, want)
				}
				told := slices.ContainsFunc(flips, func(f health.Flip) bool {
					return f.Target == whole && f.From == was[whole].Verdict && f.To == now.Verdict && f.At.Equal(at) && f.Why != ""
				})
				if told != (now.Verdict != was[whole].Verdict) {
					t.Fatalf("from %s to %s: flips %+v", was[whole].Verdict, now.Verdict, flips)
				}
				wantSince := was[whole].Since
				if told {
					wantSince = at
				}
				if now.Verdict != health.Unknown && !now.Since.Equal(wantSince) {
					t.Fatalf("since %s, want %s", now.Since, wantSince)
				}
				if got := clone.State(whole); got != was[whole] {
					t.Fatalf("the clone says %+v, was %+v", got, was[whole])
				}
			}
		}
	})
}
