package lab

import (
	"testing"
	"time"
)

// underRace are the rates at which the race detector lets two cores keep up.
var (
	fullLoad = LoadOptions{Requests: 500, Packets: 10_000}
	someLoad = LoadOptions{Requests: 100, Packets: 2_000}
)

func rates() LoadOptions {
	if raceEnabled {
		return someLoad
	}
	return fullLoad
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
				if err := l.Route(l.Site.VIPs[0], server); err != nil {
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
