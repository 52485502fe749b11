package lab

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestConnectionsAreCountedByTheServerTheyWereOpenedTo(t *testing.T) {
	from := time.Unix(1000, 0)
	end := from.Add(10 * time.Second)
	sample := func(kind Kind, result Result, server int, at, took time.Duration) Sample {
		return Sample{Kind: kind, Result: result, Server: server, Start: from.Add(at), Took: took}
	}
	got := connections([]Sample{
		sample(Talk, Reset, 0, -time.Second, 2*time.Second),        // began before, broke within
		sample(Talk, Ended, 0, 3*time.Second, 0),                   // broke while it was idle
		sample(Reopen, Refused, -1, 4*time.Second, 0),              // nobody there yet
		sample(Reopen, OK, 1, 5*time.Second, time.Millisecond),     // at another server
		sample(Open, OK, 1, 5*time.Second, time.Millisecond),       // one more
		sample(Talk, OK, 1, 6*time.Second, time.Millisecond),       // well
		sample(Talk, Timeout, 1, 7*time.Second, keptTimeout),       // breaks in its turn
		sample(Finish, OK, 2, 8*time.Second, 0),                    // as it was told
		sample(HTTP, Reset, 0, 8*time.Second, time.Millisecond),    // another matter
		sample(Talk, Reset, 2, 11*time.Second, 2*time.Millisecond), // after the end
	}, []int{10, 20, 30}, end)
	want := []ServerConnections{
		{Established: 12, Broken: 2},
		{Established: 19, Opened: 1, Reopened: 1, Broken: 1},
		{Established: 32, Finished: 1},
	}
	if !slices.Equal(got.Servers, want) {
		t.Errorf("got %+v, want %+v", got.Servers, want)
	}
	if got.Established() != 63 || got.Broken() != 3 || got.Talks != 4 || got.OpenFailed != 1 {
		t.Errorf("%d established, %d broken, %d requests, %d openings failed; want 63, 3, 4, 1",
			got.Established(), got.Broken(), got.Talks, got.OpenFailed)
	}
	if want := from.Add(time.Second); !got.First.Equal(want) {
		t.Errorf("the first was found broken at %s, want %s: when its request failed", got.First, want)
	}
	if want := from.Add(9 * time.Second); !got.Last.Equal(want) {
		t.Errorf("the last was found broken at %s, want %s", got.Last, want)
	}
	const words = "3 of 64 established connections broke (1 ended by the server, 1 reset, 1 timeout)"
	if got.String() != words {
		t.Errorf("got %q, want %q", got, words)
	}
}

// Whatever becomes of connections, the ledger has those that are open, and a
// window tells how many there were when it opened.
func TestTheLedgerBalances(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const servers = 3
		l := ledger{servers: make([]int, servers)}
		var open []int // the server of each connection that is open
		var atStart []int
		var window []Sample
		broken := make([]int, servers)
		from := time.Unix(0, 0)
		for i := range rapid.IntRange(1, 200).Draw(t, "events") {
			if i == 50 {
				atStart = slices.Clone(l.servers)
			}
			s := Sample{Kind: Open, Result: OK, Server: rapid.IntRange(0, servers-1).Draw(t, "server"), Start: from}
			fate := rapid.SampledFrom([]Sample{{Kind: Open}, {Kind: Reopen}, {Kind: Open, Result: Refused}, {Kind: Talk},
				{Kind: Talk, Result: Reset}, {Kind: Finish}, {Kind: HTTP, Result: Reset}, {Kind: UDP}}).Draw(t, "fate")
			s.Kind, s.Result = fate.Kind, fate.Result
			switch {
			case s.Kind == Open && s.Result != OK:
				s.Server = -1
			case s.Kind == Open || s.Kind == Reopen:
				open = append(open, s.Server)
			case s.Kind == Talk || s.Kind == Finish:
				if len(open) == 0 {
					continue
				}
				which := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				s.Server = open[which]
				if s.Kind == Finish || s.Result != OK {
					open = slices.Delete(open, which, which+1)
				}
				if s.Kind == Talk && s.Result != OK && i >= 50 {
					broken[s.Server]++
				}
			}
			l.take(s)
			if i >= 50 {
				window = append(window, s)
			}
		}
		for server, n := range l.servers {
			if want := countOf(open, server); n != want {
				t.Fatalf("the ledger has %d of server %d, want %d", n, server, want)
			}
		}
		if atStart == nil {
			return
		}
		for server, c := range connections(window, l.servers, from).Servers {
			if c.Established != atStart[server] || c.Broken != broken[server] {
				t.Fatalf("server %d: %d established, %d broken; want %d, %d", server, c.Established, c.Broken, atStart[server], broken[server])
			}
		}
	})
}

func countOf(list []int, n int) int {
	return len(slices.DeleteFunc(slices.Clone(list), func(m int) bool { return m != n }))
}

func TestLastNewOnOldIsTheLongestAfterACommand(t *testing.T) {
	site, err := PlanSite(IPv4, 3, 3, Switched)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Unix(1000, 0)
	sample := func(kind Kind, result Result, vip, server int, at time.Duration) Sample {
		return Sample{Kind: kind, Result: result, VIP: vip, Server: server, Start: began.Add(at)}
	}
	samples := []Sample{
		sample(HTTP, OK, 0, 0, -5*time.Millisecond),   // before
		sample(HTTP, OK, 0, 0, 3*time.Millisecond),    // web1, which is drained
		sample(HTTP, OK, 0, 1, 4*time.Millisecond),    // web2, which took over
		sample(HTTP, OK, 0, 0, 2*time.Second),         // web1, back in service
		sample(HTTP, OK, 0, 1, 1007*time.Millisecond), // web2 after the undrain
		sample(HTTP, OK, 1, 1, 3*time.Second),         // web2's own
		sample(HTTP, Reset, 0, -1, 3*time.Second),     // nobody's
		sample(Talk, OK, 0, 1, 3*time.Second),         // not new
	}
	drained := leaving{began, leavesServer(site, "web1")}
	undrained := leaving{began.Add(time.Second), leavesOthers(site, "web1")}
	for _, c := range []struct {
		name     string
		leavings []leaving
		want     float64
	}{
		{"drain, and never back", []leaving{drained}, 2000},
		{"drain, then undrain", []leaving{drained, undrained}, 7},
		{"drained before", []leaving{{began.Add(2500 * time.Millisecond), drained.old}}, 0},
	} {
		if got := lastNewOnOld(samples, c.leavings); got == nil || *got != c.want {
			t.Errorf("%s: %v, want %g ms", c.name, got, c.want)
		}
	}
	if got := lastNewOnOld(samples, nil); got != nil {
		t.Errorf("without a command: %g, want none", *got)
	}
}

func TestOrdersEndWithTheirReader(t *testing.T) {
	orders := make(chan order, 2)
	if err := readOrders(t.Context(), strings.NewReader("{\"open\":3}\n{\"finish\":\"web1\",\"over\":1000}\n"), orders); err != nil {
		t.Fatal(err)
	}
	if first, second := <-orders, <-orders; first != (order{Open: 3}) || second != (order{Finish: "web1", Over: time.Microsecond}) {
		t.Errorf("got %+v and %+v", first, second)
	}
	if err := readOrders(t.Context(), strings.NewReader("open 3\n"), orders); err == nil {
		t.Error("nonsense is no error")
	}
}
