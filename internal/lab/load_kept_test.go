package lab

import (
	"context"
	"testing"
	"time"
)

// keep starts a load of many established connections, and little else.
func keep(t *testing.T, l *Lab, n int) *Load {
	t.Helper()
	load, err := l.StartLoad(t.Context(), LoadOptions{Requests: 10, Packets: 100, Established: n})
	if err != nil {
		t.Fatal(err)
	}
	return load
}

// spoken returns what happened in a window after f, once every connection has
// spoken.
func spoken(t *testing.T, load *Load, f func()) Connections {
	t.Helper()
	window := load.Open()
	f()
	if err := pause(t.Context(), talkMost+talkLeast/2); err != nil {
		t.Fatal(err)
	}
	figures, err := window.Close(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s; %d late", figures, figures.Late)
	return figures.Connections
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	if err := poll(ctx, 5*time.Millisecond, what, func() (bool, error) { return done(), nil }); err != nil {
		t.Fatal(err)
	}
}

func TestEstablishedConnections(t *testing.T) {
	t.Parallel()
	families(t, testEstablished)
}

func testEstablished(t *testing.T, family Family) {
	t.Parallel()
	const n = 300
	l := start(t, Options{Family: family})
	load := keep(t, l, n)
	vip := l.Site.VIPs[0]

	got := spoken(t, load, func() {})
	if got.Established() != n || got.Broken() != 0 || got.Talks < n {
		t.Errorf("without a move: %s, %d requests; want %d whole ones that all speak", got, got.Talks, n)
	}

	// The router sends the connections of web1 to web2, which knows nothing of
	// them and resets them.
	got = spoken(t, load, func() {
		route(t, l, vip, "web2")
		await(t, "the broken ones to be opened again", func() bool { return load.Established("web2") == n/2 })
	})
	want := []ServerConnections{{Established: n / 4, Broken: n / 4}, {Established: n / 4, Reopened: n / 4},
		{Established: n / 4}, {Established: n / 4}}
	for i, w := range want {
		if got.Servers[i] != w {
			t.Errorf("after a move from web1 to web2: %s has %+v, want %+v", l.Site.Servers[i].Name, got.Servers[i], w)
		}
	}
	if got.Why[Reset] != n/4 {
		t.Errorf("broken by %v, want resets", got.Why)
	}

	// A crash ends them at once, also the idle ones.
	got = spoken(t, load, func() { do(t, l, Crash, "web3") })
	if s := got.Servers[2]; s.Established != n/4 || s.Broken != n/4 || got.Broken() != n/4 || got.OpenFailed == 0 {
		t.Errorf("after a crash of web3: %+v, %s; want all of its connections broken and no other", s, got)
	}
}

func TestEstablishedConnectionsComeAndGoInPeace(t *testing.T) {
	t.Parallel()
	l := start(t, Options{Servers: 2, VIPs: 2})
	load := keep(t, l, 20)
	got := spoken(t, load, func() {
		if err := load.Finish(t.Context(), "web1", 100*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if n := load.Established("web1"); n != 0 {
			t.Errorf("%d established connections to web1 after they were closed", n)
		}
		if err := load.Establish(t.Context(), 6); err != nil {
			t.Fatal(err)
		}
	})
	want := []ServerConnections{{Established: 10, Finished: 10, Opened: 3}, {Established: 10, Opened: 3}}
	for i, w := range want {
		if got.Servers[i] != w {
			t.Errorf("server %d: %+v, want %+v", i, got.Servers[i], w)
		}
	}
}

// A frozen server's kernel acknowledges what it gets, so that only patience
// tells.
func TestAnEstablishedConnectionWithoutAnswerIsBroken(t *testing.T) {
	t.Parallel()
	l := start(t, Options{Servers: 2, VIPs: 2})
	load := keep(t, l, 10)
	began := time.Now()
	got := spoken(t, load, func() { do(t, l, Freeze, "web2") })
	if s := got.Servers[1]; s.Broken != 5 || got.Broken() != 5 || got.Why[Timeout] != 5 {
		t.Errorf("got %+v, %s; want five without answer", s, got)
	}
	if first := got.First.Sub(began); first < keptTimeout {
		t.Errorf("the first was given up after %s, want at least %s", first, keptTimeout)
	}
	do(t, l, Restore, "web2")
}

func TestEstablishSaysWhatWasNotMet(t *testing.T) {
	t.Parallel()
	l := start(t, Options{Servers: 2, VIPs: 2})
	load := keep(t, l, 0)
	do(t, l, Crash, "web2")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	err := load.Establish(ctx, 10)
	wantWords(t, err, "5 of 10", "refused")
	wantWords(t, load.Establish(t.Context(), MaxEstablished), "at most")
}
