package lab

import (
	"net/netip"
	"testing"
	"time"
)

// lightLoad lets two labs at once, and the race detector, keep up on two cores.
func lightLoad() LoadOptions { return LoadOptions{Requests: 25, Packets: 500} }

// rates are those of `lab report`, where they can be reached.
func rates() LoadOptions {
	if raceEnabled {
		return LoadOptions{Requests: 100, Packets: 2_000}
	}
	return LoadOptions{Requests: 500, Packets: 10_000}
}

func TestLoadGoesToTheFirstOfManyVIPs(t *testing.T) {
	site, err := PlanSite(IPv6, 4, MaxVIPs, Switched)
	if err != nil {
		t.Fatal(err)
	}
	plan := LoadOptions{}.plan(site)
	if len(plan.httpVIPs) != defaultHTTP || len(plan.udpVIPs) != defaultUDP || len(plan.vips) != defaultUDP {
		t.Errorf("requests to %d, packets to %d of %d VIPs", len(plan.httpVIPs), len(plan.udpVIPs), len(plan.vips))
	}
	if plan = (LoadOptions{HTTP: []int{7}, UDP: []int{0}}).plan(site); len(plan.vips) != 8 || plan.check() != nil {
		t.Errorf("%d VIPs, %v; want those up to the eighth", len(plan.vips), plan.check())
	}
	// The longest argument that Linux takes is 128 KiB.
	for _, argument := range (LoadOptions{}).plan(site).arguments() {
		if len(argument) >= 128<<10 {
			t.Errorf("an argument of %d bytes cannot be given to a process", len(argument))
		}
	}
}

// After a stall longer than the ring of packets under way, there is more due
// than the ring holds.
func TestTheStreamSurvivesAStall(t *testing.T) {
	l, err := newUDPLoad(loadPlan{vips: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, udpRate: 1000, udpVIPs: []int{0}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	begin := l.now() - time.Minute
	messages := udpMessages()
	batches := 0
	for l.send(messages, begin) {
		if batches++; batches > len(l.pending) {
			t.Fatal("the generator sends without end and never looks for what has expired")
		}
	}
	l.mu.Lock()
	for i := range l.pending {
		l.pending[i].decided = true
	}
	l.mu.Unlock()
	if left := l.expire(); left != 0 || !l.send(messages, begin) {
		t.Errorf("%d packets are left under way; want none, and more to be sent", left)
	}
}

func TestPacketsAreNotLateAtALowRate(t *testing.T) {
	t.Parallel()
	l := start(t, Options{Servers: 1, VIPs: 1})
	got := measure(t, l, LoadOptions{Requests: 1, Packets: 20}, time.Second, func() {})
	if got.Packets == 0 || got.Late == got.Packets+got.Requests {
		t.Errorf("%d of %d packets were late: lateness is not measured from when they were due", got.Late, got.Packets)
	}
}

func TestLoadWithoutFaultLosesNothing(t *testing.T) {
	l := start(t, Options{})
	options := rates()
	got := measure(t, l, options, 2*time.Second, func() {})
	if !got.Clean() || got.Wrong != 0 {
		t.Errorf("got %s, want no failure", got)
	}
	seconds := got.Span.Seconds()
	for i := range l.Site.VIPs {
		v := got.VIP(i)
		if rate := float64(v.Requests) / seconds; rate < 0.99*float64(options.Requests) {
			t.Errorf("VIP %d got %.0f requests/s, want %d", i, rate, options.Requests)
		}
		if len(v.Answers) != 1 || v.Answers[0].Server != i {
			t.Errorf("VIP %d was answered by %v, want its primary only", i, v.Answers)
		}
	}
	if rate := float64(got.Packets) / seconds; rate < 0.99*float64(options.Packets) {
		t.Errorf("%.0f packets/s, want %d", rate, options.Packets)
	}
}

func TestLoadSeesAnOutageWithoutController(t *testing.T) {
	l := start(t, Options{})
	got := measure(t, l, rates(), time.Second, func() { do(t, l, Crash, "web1") })
	if got.Recovered || got.Outage < 900*time.Millisecond {
		t.Errorf("got outage %s, recovered %v; want about a second that does not end", got.Outage, got.Recovered)
	}
	want := rates().Requests
	if v := got.VIP(0); v.Failed < want*9/10 || v.Lost == 0 {
		t.Errorf("the crashed server's VIP lost %d requests and %d packets, want about %d, and some", v.Failed, v.Lost, want)
	}
	for i := 1; i < 4; i++ {
		if v := got.VIP(i); v.Failed+v.Lost != 0 {
			t.Errorf("VIP %d of a healthy server lost %d requests, %d packets", i, v.Failed, v.Lost)
		}
	}
}

func TestMovingARouteLosesNothing(t *testing.T) {
	l := start(t, Options{})
	routes, err := l.WatchRoutes()
	if err != nil {
		t.Fatal(err)
	}
	defer routes.Close()
	got := measure(t, l, rates(), 300*time.Millisecond, func() {
		for range 3 {
			for _, server := range []string{"web2", "web1"} {
				if err := l.Route(t.Context(), l.Site.VIPs[0], server); err != nil {
					t.Fatal(err)
				}
				if err := pause(t.Context(), 100*time.Millisecond); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
	changes, err := routes.Changes()
	if err != nil || len(changes) != 6 {
		t.Errorf("the kernel told of changes %v, %v; want six", changes, err)
	}
	if cut := got.Cut(l.Site, changes); got.Failed > cut || got.Lost != 0 {
		t.Errorf("got %s, %d cut; want no packet and no new connection lost", got, cut)
	}
	if answers := got.VIP(0).Answers; len(answers) != 2 {
		t.Errorf("answers by %v, want two servers", answers)
	}
}
