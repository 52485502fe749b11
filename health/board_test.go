package health_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

var (
	noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	vip  = netip.MustParsePrefix("203.0.113.32/27")
	web1 = netip.MustParseAddr("192.0.2.11")
	nic2 = netip.MustParseAddr("198.51.100.11")
	one  = health.Target{Server: "web1", VIP: vip}
)

func newSite(addresses ...netip.Addr) *topology.Site {
	return &topology.Site{
		Servers: []topology.Server{{Name: "web1", Addresses: addresses, Weight: 1}},
		Checks:  []topology.Check{{Name: "web", Rise: 2, Fall: 3}},
		VIPs: []topology.VIP{{
			Prefix: vip, Entry: vip, Judge: vip, Check: "web", Addresses: []netip.Addr{vip.Addr().Next()},
			Tiers: []topology.Tier{{Name: "primary", Servers: []topology.ServerName{"web1"}}},
		}},
	}
}

// feed gives the board one result a second: "." passes, "x" fails. It returns
// the verdicts after each: "u" up, "d" down, "?" unknown.
func feed(b *health.Board, from time.Time, results string) string {
	var verdicts strings.Builder
	for i, r := range results {
		result := health.Result{Target: one, Started: from.Add(time.Duration(i) * time.Second), Took: time.Millisecond}
		if r == 'x' {
			result.Failure = "connection refused"
		}
		b.Observe(result)
		verdicts.WriteByte("?ud"[b.State(one).Verdict])
	}
	return verdicts.String()
}

func TestRiseAndFallCountConsecutiveResults(t *testing.T) {
	for _, c := range []struct{ name, results, want string }{
		{"two passes bring it up", "..", "?u"},
		{"three failures bring it down", "xxx", "??d"},
		{"from unknown, a mixed start counts anew", ".x.x..", "?????u"},
		{"two failures in a row are forgiven", "..xx.xx.", "?uuuuuuu"},
		{"three failures in a row are not", "..xxx", "?uuud"},
		{"one pass does not raise it", "xxx.x.x.", "??dddddd"},
		{"two passes raise it", "xxx..", "??ddu"},
		{"an unsteady start ends as down", ".x.x.x.x.x", "?????????d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := feed(health.NewBoard(newSite(web1)), noon, c.results); got != c.want {
				t.Errorf("results %s give %s, want %s", c.results, got, c.want)
			}
		})
	}
}

func TestAnUnsteadyStartIsToldAsSuch(t *testing.T) {
	b := health.NewBoard(newSite(web1))
	feed(b, noon, ".x.x.x.x.")
	flips := b.Observe(health.Result{Target: one, Started: noon.Add(time.Minute), Failure: "connection refused"})
	if len(flips) != 1 || flips[0].Why != "unsteady from the start: connection refused" {
		t.Errorf("flips %+v", flips)
	}
}

func TestTrendTellsWhatIsComing(t *testing.T) {
	b := health.NewBoard(newSite(web1))
	for _, c := range []struct{ results, trend, why string }{
		{".", "rising 1/2", ""},
		{".", "", ""},
		{"x", "falling 1/3", "connection refused"},
		{"x", "falling 2/3", "connection refused"},
		{".", "", ""},
		{"xxx", "", "connection refused"},
		{".", "rising 1/2", "connection refused"},
	} {
		feed(b, noon, c.results)
		if s := b.State(one); s.Trend() != c.trend || s.Why != c.why {
			t.Errorf("after %s: trend %q because %q, want %q because %q", c.results, s.Trend(), s.Why, c.trend, c.why)
		}
	}
}

func TestFlappingMakesItHarderToRise(t *testing.T) {
	b := health.NewBoard(newSite(web1))
	feed(b, noon, "..")
	for i, want := range []int{2, 4, 8, 16, 32, 64, 64} {
		at := noon.Add(time.Duration(i) * 90 * time.Second)
		feed(b, at, "xxx")
		if got := b.State(one).Rise; got != want {
			t.Fatalf("after fall %d it needs %d passes, want %d", i+1, got, want)
		}
		passes := strings.Repeat(".", want)
		if got := feed(b, at.Add(3*time.Second), passes); strings.Index(got, "u") != want-1 {
			t.Fatalf("after fall %d it rose as %s, want after %d passes", i+1, got, want)
		}
	}
	feed(b, noon.Add(time.Hour), "xxx")
	if got := b.State(one).Rise; got != 2 {
		t.Errorf("after a quiet hour it needs %d passes, want 2", got)
	}
}

func TestALossBringsDownAtOnceAndChecksRaiseAgain(t *testing.T) {
	b := health.NewBoard(newSite(web1))
	b.Observe(health.Found{Server: "web1", Address: web1, At: noon})
	feed(b, noon, "..")
	lost := noon.Add(10 * time.Second)
	flips := b.Observe(health.Loss{Server: "web1", Address: web1, At: lost, Failure: "no reply to 3 echoes"})
	if len(flips) != 1 || flips[0].To != health.Down || flips[0].Why != "no reply to 3 echoes" || b.Echo("web1") != health.EchoLost {
		t.Fatalf("flips %+v, echo %s", flips, b.Echo("web1"))
	}
	// Checks that began before the loss say nothing about after it.
	if got := feed(b, lost.Add(-2*time.Second), ".."); got != "dd" {
		t.Errorf("checks from before the loss raised it: %s", got)
	}
	// Echo stays silent and checks pass: it is filtered, and checks win.
	if got := feed(b, lost.Add(time.Second), ".."); got != "du" {
		t.Errorf("checks after the loss give %s, want du", got)
	}
	if got := b.Echo("web1"); got != health.EchoFiltered {
		t.Errorf("echo is %q, want filtered", got)
	}
	if flips := b.Observe(health.Loss{Server: "web1", Address: web1, At: lost.Add(time.Minute), Failure: "again"}); len(flips) != 0 {
		t.Errorf("a loss of what is lost flipped %+v", flips)
	}
}

func TestALossOfOneOfTwoAddressesOnlyMovesTheNextHop(t *testing.T) {
	b := health.NewBoard(newSite(web1, nic2))
	feed(b, noon, "..")
	if flips := b.Observe(health.Loss{Server: "web1", Address: web1, At: noon.Add(5 * time.Second), Failure: "link lan0 is down"}); len(flips) != 0 {
		t.Fatalf("flips %+v though the other address answers", flips)
	}
	if !b.Lost(web1) || b.Lost(nic2) {
		t.Fatalf("lost: %t %t, want true false", b.Lost(web1), b.Lost(nic2))
	}
	if flips := b.Observe(health.Loss{Server: "web1", Address: nic2, At: noon.Add(6 * time.Second), Failure: "link lan1 is down"}); len(flips) != 1 {
		t.Fatalf("flips %+v, want one", flips)
	}
	b.Observe(health.Found{Server: "web1", Address: nic2, At: noon.Add(7 * time.Second)})
	if b.Lost(nic2) {
		t.Error("an address that answers again is still called lost")
	}
}

func TestWithoutEchoAPassingCheckEndsALoss(t *testing.T) {
	site := newSite(web1)
	site.Alive.Off = true
	b := health.NewBoard(site)
	feed(b, noon, "..")
	b.Observe(health.Loss{Server: "web1", Address: web1, At: noon.Add(5 * time.Second), Failure: "link lan0 is down"})
	feed(b, noon.Add(6*time.Second), "..")
	if b.Lost(web1) || b.Echo("web1") != health.EchoOff {
		t.Errorf("lost %t, echo %s; want false, off", b.Lost(web1), b.Echo("web1"))
	}
}

func TestAPassingCheckEndsTheLossOfAnAddressThatNeverAnsweredEcho(t *testing.T) {
	b := health.NewBoard(newSite(web1, nic2))
	feed(b, noon, "..")
	for _, address := range []netip.Addr{web1, nic2} {
		b.Observe(health.Loss{Server: "web1", Address: address, At: noon.Add(5 * time.Second), Failure: "link lan0 is down"})
	}
	if got := feed(b, noon.Add(6*time.Second), ".."); got != "du" {
		t.Errorf("checks after the link came back give %s, want du", got)
	}
	if b.Lost(web1) || b.Lost(nic2) || b.Echo("web1") != health.EchoNever {
		t.Errorf("lost %t %t, echo %s; want false false, never answered", b.Lost(web1), b.Lost(nic2), b.Echo("web1"))
	}
}

func TestASilentAddressGivesWayToOneThatAnswers(t *testing.T) {
	b := health.NewBoard(newSite(web1, nic2))
	if b.Lost(web1) || b.Lost(nic2) {
		t.Fatal("an address is called lost though nothing is known")
	}
	b.Observe(health.Found{Server: "web1", Address: nic2, At: noon})
	if !b.Lost(web1) || b.Lost(nic2) {
		t.Fatalf("silent and answering: lost %t %t, want true false", b.Lost(web1), b.Lost(nic2))
	}
	feed(b, noon, "..")
	if flips := b.Observe(health.Loss{Server: "web1", Address: nic2, At: noon.Add(5 * time.Second), Failure: "no reply to 3 echoes"}); len(flips) != 1 {
		t.Errorf("the one that answered is lost: flips %+v, want one", flips)
	}
}

func TestALinkThatIsBackEndsALossWithoutEcho(t *testing.T) {
	b := health.NewBoard(newSite(web1, nic2))
	feed(b, noon, "..")
	b.Observe(health.Loss{Server: "web1", Address: web1, At: noon.Add(5 * time.Second), Failure: "link lan0 is down"})
	b.Observe(health.Found{Server: "web1", Address: web1, At: noon.Add(6 * time.Second), ByLink: true})
	if flips := b.Observe(health.Loss{Server: "web1", Address: nic2, At: noon.Add(9 * time.Second), Failure: "link lan1 is down"}); len(flips) != 0 {
		t.Errorf("flips %+v though the first address is back", flips)
	}
	alone := health.NewBoard(newSite(web1))
	alone.Observe(health.Loss{Server: "web1", Address: web1, At: noon, Failure: "link lan0 is down"})
	alone.Observe(health.Found{Server: "web1", Address: web1, At: noon.Add(time.Second), ByLink: true})
	if got := alone.Echo("web1"); got != health.EchoNever {
		t.Errorf("echo is %q, want never answered", got)
	}
}

func TestALossByEchoEndsWhenEchoIsTurnedOff(t *testing.T) {
	b := health.NewBoard(newSite(web1, nic2))
	b.Observe(health.Found{Server: "web1", Address: web1, At: noon})
	b.Observe(health.Loss{Server: "web1", Address: web1, At: noon.Add(time.Second), Failure: "no reply to 3 echoes"})
	quiet := newSite(web1, nic2)
	quiet.Alive.Off = true
	b.SetSite(quiet)
	if b.Lost(web1) {
		t.Error("the address is still called lost, and nothing can end that")
	}
}

func TestNewAddressesOfAServerAreJudgedAnew(t *testing.T) {
	b := health.NewBoard(newSite(web1))
	feed(b, noon, "..")
	b.SetSite(newSite(nic2))
	if got := b.State(one).Verdict; got != health.Unknown {
		t.Errorf("the verdict is %s at an address that nobody has checked, want unknown", got)
	}
}

func TestAChangeOfSiteKeepsWhatIsKnown(t *testing.T) {
	b := health.NewBoard(newSite(web1))
	feed(b, noon, "..")
	same := newSite(web1)
	same.Servers[0].Weight = 7
	b.SetSite(same)
	if got := b.State(one).Verdict; got != health.Up {
		t.Errorf("the verdict is %s after a change that does not concern it, want up", got)
	}
	other := newSite(web1)
	other.Checks[0].Fall = 5
	b.SetSite(other)
	if got := b.State(one).Verdict; got != health.Unknown {
		t.Errorf("the verdict is %s after a change of its check, want unknown", got)
	}
}

// TestAVerdictNeedsItsRun says that a verdict changes only at the end of a run
// of rise or fall results of one kind, whatever came before.
func TestAVerdictNeedsItsRun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := health.NewBoard(newSite(web1))
		run, last, seen := 0, false, 0
		for i, ok := range rapid.SliceOf(rapid.Bool()).Draw(t, "results") {
			if run++; ok != last {
				run = 1
			}
			last = ok
			before, rise := b.State(one).Verdict, b.State(one).Rise
			result := health.Result{Target: one, Started: noon.Add(time.Duration(i) * time.Second)}
			if !ok {
				result.Failure = "timeout"
			}
			seen++
			flips := b.Observe(result)
			after := b.State(one).Verdict
			unsteady := before == health.Unknown && seen >= 10
			switch {
			case before == after && len(flips) != 0, before != after && len(flips) != 1:
				t.Fatalf("%s to %s told as %+v", before, after, flips)
			case before != after && after == health.Up && run < rise:
				t.Fatalf("up after a run of %d, needs %d", run, rise)
			case before != after && after == health.Down && run < 3 && !unsteady:
				t.Fatalf("down after a run of %d", run)
			case before == health.Up && after == health.Up && run >= 3 && !ok:
				t.Fatalf("still up after a run of %d failures", run)
			}
		}
	})
}

func TestWellSinceIsWhenAnAddressCameBack(t *testing.T) {
	b := health.NewBoard(newSite(web1, nic2))
	if !b.WellSince(web1).IsZero() {
		t.Errorf("nothing is known, and it is well since %s", b.WellSince(web1))
	}
	b.Observe(health.Found{Server: "web1", Address: nic2, At: noon})
	b.Observe(health.Found{Server: "web1", Address: web1, At: noon.Add(time.Second)})
	if got := b.WellSince(web1); got != noon.Add(time.Second) {
		t.Errorf("it was silent, and answered first at +1s: well since %s", got)
	}
	b.Observe(health.Loss{Server: "web1", Address: web1, At: noon.Add(2 * time.Second), Failure: "no reply to 3 echoes"})
	b.Observe(health.Found{Server: "web1", Address: web1, At: noon.Add(3 * time.Second)})
	if got := b.Clone().WellSince(web1); got != noon.Add(3*time.Second) {
		t.Errorf("it was lost and found at +3s: well since %s", got)
	}
	b.SetSite(newSite(web1, nic2))
	if got := b.WellSince(web1); got != noon.Add(3*time.Second) {
		t.Errorf("after a reload it is well since %s", got)
	}
}

func TestWithoutEchoAnAddressIsWellSinceTheLinkOrAVerdictCameBack(t *testing.T) {
	site := newSite(web1)
	site.Alive.Off = true
	b := health.NewBoard(site)
	feed(b, noon, "..")
	lose := func(after time.Duration) {
		b.Observe(health.Loss{Server: "web1", Address: web1, At: noon.Add(after), Failure: "link lan0 is down"})
	}
	lose(5 * time.Second)
	b.Observe(health.Found{Server: "web1", Address: web1, At: noon.Add(6 * time.Second), ByLink: true})
	if got := b.WellSince(web1); got != noon.Add(6*time.Second) {
		t.Errorf("found by its link: well since %s", got)
	}
	lose(7 * time.Second)
	feed(b, noon.Add(8*time.Second), "....")
	if got := b.WellSince(web1); got.Before(noon.Add(8 * time.Second)) {
		t.Errorf("reached again by checks: well since %s", got)
	}
}

// TestAProgramsExitCodeSaysNothingOfAnAddress: a script may look anywhere, so that it
// passes does not mean that the address which a link took along is back.
func TestAProgramsExitCodeSaysNothingOfAnAddress(t *testing.T) {
	site := newSite(web1)
	site.Alive.Off = true
	for i := range site.Checks {
		site.Checks[i].HTTP, site.Checks[i].TCP, site.Checks[i].Script = nil, nil, &topology.Script{Command: []string{"/bin/true"}}
	}
	b := health.NewBoard(site)
	feed(b, noon, "..")
	b.Observe(health.Loss{Server: "web1", Address: web1, At: noon.Add(5 * time.Second), Failure: "link lan0 is down"})
	feed(b, noon.Add(8*time.Second), "....")
	if !b.Lost(web1) {
		t.Error("a script passed, and the address that was lost with its link counts as well")
	}
}
