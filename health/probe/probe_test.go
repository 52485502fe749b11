package probe

import (
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// says answers every request with a word.
func says(word string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, word) }
}

func TestACheckThroughTheVIPReachesTheChosenServer(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	l.serve(l.servers[0], says("this is web1"))
	l.serve(l.servers[1], says("this is web2"))
	r := l.prober()
	r.set(l.site(topology.Check{HTTP: &topology.HTTP{Body: "this is web2"}, Interval: time.Hour, FastInterval: time.Hour}))
	got := r.check(web(1, vip4), web(2, vip4), web(1, vip6), web(2, vip6))
	want := []string{`body lacks "this is web2"`, "", `body lacks "this is web2"`, ""}
	if !slices.Equal(got, want) {
		t.Errorf("failures %q, want %q", got, want)
	}
}

func TestAStandbyIsCheckedAtItsOwnPaceAndAtOnceWhenItGetsTraffic(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	for _, server := range l.servers {
		l.serve(server, says("ok"))
	}
	r := l.prober()
	r.set(l.site(topology.Check{HTTP: &topology.HTTP{}, Interval: 20 * time.Millisecond, FastInterval: 20 * time.Millisecond, StandbyInterval: never}))
	carries, standby := web(1, vip4), web(2, vip4)
	r.result(standby, "first result", passes)
	r.Pace(carries, health.Regular)
	r.Pace(standby, health.Slow)
	began := time.Now()
	started := 0 // of the standby; one may have been about to
	for n := 0; n < 20; {
		switch result := r.next("result", func(n health.News) bool { _, ok := n.(health.Result); return ok }).(health.Result); {
		case result.Target == carries:
			n++
		case result.Target == standby && result.Started.After(began):
			if started++; started > 1 {
				t.Fatalf("the standby was checked %s after it became one", result.Started.Sub(began))
			}
		}
	}
	r.Pace(standby, health.Regular)
	for range 3 {
		r.result(standby, "result once it has traffic", passes)
	}
}

func TestEveryKindOfCheckPassesOnAHealthyServer(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	l.serve(l.servers[0], says("ok"))
	r := l.prober()
	for _, through := range []topology.Through{topology.ThroughVIP, topology.ThroughAddress} {
		for kind, check := range map[string]topology.Check{
			"http":            {HTTP: &topology.HTTP{}},
			"http keep_alive": {HTTP: &topology.HTTP{KeepAlive: true}},
			"tcp":             {TCP: &topology.TCP{Port: 80}},
			"icmp":            {ICMP: &topology.ICMP{}},
		} {
			check.Interval, check.FastInterval, check.Through = 20*time.Millisecond, 20*time.Millisecond, through
			r.set(l.site(check))
			for _, target := range []health.Target{web(1, vip4), web(1, vip6)} {
				for range 3 {
					result := r.result(target, kind, whatever)
					if !result.OK() {
						t.Errorf("%s through %s: %v: %s", kind, through, target, result.Failure)
					}
				}
			}
		}
	}
}
