package lab

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestOutageIsFromFirstFailureToLastingSuccess(t *testing.T) {
	begin := time.Now()
	sample := func(at int, r Result) Sample {
		return Sample{Kind: HTTP, Result: r, Server: 0, Start: begin.Add(time.Duration(at) * time.Millisecond)}
	}
	end := begin.Add(time.Second)
	for _, c := range []struct {
		name      string
		samples   []Sample
		outage    time.Duration
		recovered bool
	}{
		{"nothing fails", []Sample{sample(0, OK), sample(10, OK)}, 0, true},
		{"a hole", []Sample{sample(0, OK), sample(10, Refused), sample(20, Timeout), sample(30, OK)}, 20 * time.Millisecond, true},
		{"answers come in another order than requests", []Sample{sample(30, OK), sample(0, OK), sample(40, OK), sample(10, Timeout)}, 20 * time.Millisecond, true},
		{"a success between does not end it", []Sample{sample(10, Reset), sample(20, OK), sample(30, Wrong), sample(50, OK)}, 40 * time.Millisecond, true},
		{"it does not end", []Sample{sample(0, OK), sample(100, Timeout), sample(200, Timeout)}, 900 * time.Millisecond, false},
	} {
		got := figure(c.samples, begin, end)
		if got.Outage != c.outage || got.Recovered != c.recovered {
			t.Errorf("%s: outage %s, recovered %v; want %s, %v", c.name, got.Outage, got.Recovered, c.outage, c.recovered)
		}
	}
}

func TestCutAreTheRequestsUnderWayWhenTheRouteMoves(t *testing.T) {
	site, err := PlanSite(IPv4, 2, 2, Switched)
	if err != nil {
		t.Fatal(err)
	}
	move := time.Now()
	sample := func(vip int, at, took time.Duration, r Result) Sample {
		return Sample{Kind: HTTP, Result: r, VIP: vip, Start: move.Add(at), Took: took}
	}
	f := figure([]Sample{
		sample(0, -time.Millisecond, 2*time.Millisecond, Reset), // cut
		sample(0, time.Millisecond, time.Millisecond, Reset),    // new
		sample(0, -time.Millisecond, time.Millisecond, Refused), // not reset
		sample(1, -time.Millisecond, 2*time.Millisecond, Reset), // another VIP
		sample(0, -time.Second, 900*time.Millisecond, Reset),    // over long before
		sample(0, -time.Millisecond, 2*time.Millisecond, OK),    // not failed
	}, move.Add(-time.Second), move.Add(time.Second))
	if got := f.Cut(site, []RouteChange{{At: move, Prefix: site.VIPs[0].Prefix}}); got != 1 {
		t.Errorf("%d cut, want 1", got)
	}
}

func TestElsewhereIsWhatAnotherServerHas(t *testing.T) {
	site, err := PlanSite(IPv4, 2, 4, Switched)
	if err != nil {
		t.Fatal(err)
	}
	f := Figures{VIPs: []VIPFigures{{VIP: 0, Failed: 1}, {VIP: 1, Failed: 10}, {VIP: 2, Failed: 100}, {VIP: 3, Failed: 1000}}}
	if got := f.Elsewhere(site, "web1"); got != 1010 {
		t.Errorf("%d failed elsewhere than at web1, want those of VIPs 1 and 3, 1010", got)
	}
}

func TestSamplesSurviveThePipe(t *testing.T) {
	want := []Sample{
		{Kind: HTTP, Result: OK, VIP: 999, Server: 3, Start: time.Unix(1, 2), Took: 1500 * time.Microsecond, Late: time.Microsecond},
		{Kind: UDP, Result: Timeout, VIP: 0, Server: -1, Start: time.Unix(3, 4), Took: time.Second},
	}
	var b []byte
	for _, s := range want {
		b = s.append(b)
	}
	var got []Sample
	take := func(s []Sample) { got = append(got, s...) }
	if err := readSamples(bytes.NewReader(b), take); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %v, want %v", got, want)
	}
	if err := readSamples(bytes.NewReader(b[:len(b)-1]), take); err == nil {
		t.Error("half a sample is no error")
	}
}

func TestJudgeTakesOnlyTheRightAnswer(t *testing.T) {
	site := &website{name: "web2"}
	right := string(site.answer(nil, parseRequest([]byte("GET /?n=000000000000002a HTTP/1.1\r\nHost: x"))))
	for _, c := range []struct {
		name, answer string
		ended        bool
		want         judgement
	}{
		{"right", right, false, judgement{done: true, result: OK, server: 1}},
		{"not complete yet", right[:len(right)-1], false, judgement{server: -1}},
		{"ends too early", right[:len(right)-1], true, judgement{done: true, result: Short, server: -1}},
		{"nothing at all", "", true, judgement{done: true, result: Short, server: -1}},
		{"too long", right + "x", false, judgement{done: true, result: Wrong, server: 1}},
		{"another nonce", strings.Replace(right, "2a\n", "2b\n", 1), false, judgement{done: true, result: Wrong, server: 1}},
		{"another server", strings.ReplaceAll(right, "web2", "web7"), false, judgement{done: true, result: Wrong, server: -1}},
		{"not 200", strings.Replace(right, "200 OK", "503 Sorry", 1), false, judgement{done: true, result: Wrong, server: -1}},
	} {
		if got := judge([]byte(c.answer), c.ended, 42, []string{"web1", "web2"}); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestTheServerSpeaksHTTP(t *testing.T) {
	site := &website{name: "web1"}
	for _, c := range []struct{ request, status, body string }{
		{"GET /healthz HTTP/1.1\r\nHost: a", "200 OK", "ok\n"},
		{"HEAD /healthz HTTP/1.1\r\nhost:a", "200 OK", ""},
		{"GET /?n=7 HTTP/1.0", "200 OK", "web1 7\n"},
		{"GET /other HTTP/1.1\r\nHost: a", "404 Not Found", ""},
		{"GET / HTTP/1.1", "400 Bad Request", ""},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3", "405 Method Not Allowed", ""},
		{"GET / HTTP/2.0\r\nHost: a", "400 Bad Request", ""},
		{"nonsense", "400 Bad Request", ""},
	} {
		got := string(site.answer(nil, parseRequest([]byte(c.request))))
		if !strings.HasPrefix(got, "HTTP/1.1 "+c.status+"\r\n") || !strings.HasSuffix(got, "\r\n\r\n"+c.body) {
			t.Errorf("%q is answered by %q, want %s with body %q", c.request, got, c.status, c.body)
		}
	}
}
