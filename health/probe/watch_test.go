package probe

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

func TestAKilledServerGivesFallFailuresAtOnce(t *testing.T) {
	for _, prefix := range []string{"IPv4", "IPv6"} {
		t.Run(prefix, func(t *testing.T) {
			t.Parallel()
			l := newLAN(t, 1)
			server := l.helper(l.servers[0], ":80")
			r := l.prober()
			site := l.site(topology.Check{HTTP: &topology.HTTP{}, Interval: time.Minute, FastInterval: 2 * time.Second, Watch: true})
			target := web(1, vip4)
			if prefix == "IPv6" {
				target = web(1, vip6)
			}
			r.set(site)
			for range 2 { // by then the watch holds its connection
				r.result(target, "pass", passes)
			}
			r.Pace(target, health.Regular)
			if err := server.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			killed := time.Now()
			var last health.Result
			for range site.Checks[0].Fall {
				result := r.result(target, "failure", fails)
				if result.Started.Before(last.Started) {
					t.Errorf("result of %s comes after that of %s", result.Started, last.Started)
				}
				last = result
			}
			took := time.Since(killed)
			t.Logf("%d failures %s after the kill: %s", site.Checks[0].Fall, took, last.Failure)
			if pace := site.Checks[0].FastInterval; took > pace {
				t.Errorf("%d failures took %s: no burst, but one each %s", site.Checks[0].Fall, took, pace)
			}
		})
	}
}

func TestABurstBreaksOffACheckThatHangs(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	var seen atomic.Int32
	hung := make(chan net.Conn, 1)
	watched := make(chan net.Conn, 1)
	l.accept(l.servers[0], 80, func(c net.Conn) {
		switch seen.Add(1) {
		case 1, 4, 5, 6: // a check that passes; the burst, and what follows
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
			}
		case 2: // the watch
			watched <- c
			_, _ = c.Read(make([]byte, 1))
		case 3: // a check that hangs
			_, _ = http.ReadRequest(bufio.NewReader(c))
			hung <- c
			_, _ = c.Read(make([]byte, 1))
		}
	})
	r := l.prober()
	site := l.site(topology.Check{HTTP: &topology.HTTP{}, Interval: 9 * time.Second, FastInterval: 300 * time.Millisecond, Timeout: 9 * time.Second, Watch: true})
	site.VIPs = site.VIPs[1:]
	r.set(site)
	r.result(web(1, vip4), "pass", passes)
	watch := <-watched
	<-hung
	began := time.Now()
	_ = watch.(*net.TCPConn).CloseWrite() // as a dying process does
	result := r.result(web(1, vip4), "result of the burst", whatever)
	if !result.OK() || result.Started.Before(began) || time.Since(began) > patience/2 { // as long as the hung one's timeout, if it is not broken off
		t.Errorf("result %q, started %s after the end of the watch, came after %s", result.Failure, result.Started.Sub(began), time.Since(began))
	}
}

func TestAServerThatClosesIdleConnectionsStaysUp(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	const idle = 300 * time.Millisecond // the server's patience
	watches := make(chan time.Time, 100)
	l.accept(l.servers[0], 80, func(c net.Conn) {
		in := bufio.NewReader(c)
		_ = c.SetReadDeadline(time.Now().Add(idle))
		if _, err := http.ReadRequest(in); err != nil {
			watches <- time.Now()
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
	})
	r := l.prober()
	site := l.site(topology.Check{HTTP: &topology.HTTP{}, Interval: 20 * time.Millisecond, FastInterval: 20 * time.Millisecond, Watch: true})
	site.VIPs = site.VIPs[1:]
	began := time.Now()
	r.set(site)
	end := time.NewTimer(patience)
	defer end.Stop()
	for n := 0; n < 4; {
		select {
		case news := <-r.news:
			if result := news.(health.Result); !result.OK() {
				t.Fatal(result.Failure)
			}
		case at := <-watches: // after each a pause of 100, 200, 400 ms, or more
			if n++; n == 4 && at.Sub(began) < 4*idle+700*time.Millisecond {
				t.Errorf("4 watches within %s", at.Sub(began))
			}
		case <-end.C:
			t.Fatalf("%d watches within %s", n, patience)
		}
	}
}

func TestTheWatchBacksOffWithTheServersPatience(t *testing.T) {
	for _, c := range []struct {
		name               string
		pause, lived, want time.Duration
	}{
		{"the first close", 0, 0, 100 * time.Millisecond},
		{"closed at once again", 400 * time.Millisecond, time.Millisecond, 800 * time.Millisecond},
		{"never more than the limit", 20 * time.Second, 0, 30 * time.Second},
		{"a pause of a tenth of its patience is enough", 2 * time.Second, 20 * time.Second, 2 * time.Second},
		{"a long life forgives all", 30 * time.Second, time.Hour, 100 * time.Millisecond},
	} {
		if got := backoff(c.pause, c.lived); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
