package web

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

const drainWeb1, drainWeb2 = `{"servers":["web1"]}`, `{"servers":["web2"]}`

// TestWhoMayDoWhat is the whole table of callers and paths.
func TestWhoMayDoWhat(t *testing.T) {
	anyone, reads := enter(t), enter(t)
	anyone.offer(topology.ReadAnyone)
	reads.offer(topology.ReadToken)
	for _, c := range []struct {
		method, path, body          string
		nobody, closed, web1, alice int // nobody with read: anyone, nobody with read: token, and with the tokens
	}{
		{"GET", "/", "", 200, 200, 200, 200},
		{"GET", "/metrics", "", 200, 401, 200, 200},
		{"GET", api.StatusPath, "", 200, 401, 200, 200},
		{"GET", api.EventsPath, "", 200, 401, 200, 200},
		{"GET", api.ExplainPath + "?vip=shop", "", 200, 401, 200, 200},
		{"GET", api.PlanPath, "", 401, 401, 200, 200},
		{"POST", api.SimulatePath, `{"steps":["fail web1"]}`, 401, 401, 200, 200},
		{"POST", api.DrainPath, drainWeb1, 401, 401, 200, 200},
		{"POST", api.DrainPath, drainWeb2, 401, 401, 403, 200},
		{"POST", api.DrainPath, `{"servers":["web1","web2"]}`, 401, 401, 403, 200},
		{"POST", api.UndrainPath, drainWeb2, 401, 401, 403, 0},
		{"POST", api.ReloadPath, "{}", 401, 401, 403, 200},
		{"POST", api.PinPath, `{"vip":"shop","server":"web1"}`, 401, 401, 403, 0},
		{"POST", "/v1/of_a_later_version", "{}", 401, 401, 403, 404},
	} {
		for _, call := range []struct {
			who    string
			w      *world
			header []string
			want   int
		}{
			{"nobody", anyone, nil, c.nobody}, {"nobody, read: token", reads, nil, c.closed},
			{"web1", anyone, []string{bearing(web1s)}, c.web1}, {"alice", reads, []string{bearing(alices)}, c.alice},
		} {
			if call.want == 0 {
				continue
			}
			got := call.w.ask(c.method, c.path, c.body, call.header...)
			if got.status != call.want || got.err != nil {
				t.Errorf("%s, %s %s %s: %d %v, want %d: %s", call.who, c.method, c.path, c.body, got.status, got.err, call.want, got.body)
			}
		}
	}
}

// TestTheRecordSaysWho asked, by the token, whatever the request says.
func TestTheRecordSaysWho(t *testing.T) {
	w := enter(t)
	w.offer(topology.ReadAnyone)
	if got := w.ask("POST", api.DrainPath, drainWeb1, bearing(alices)); got.status != 200 {
		t.Fatalf("%+v", got)
	}
	if got := w.operator.asked[0].By; got != "token:alice" {
		t.Errorf("by %q", got)
	}
}

// TestAnotherSiteCannotMakeABrowserAsk: without a token it has no say, and with one
// that a browser would add by itself it is refused all the same.
func TestAnotherSiteCannotMakeABrowserAsk(t *testing.T) {
	w := enter(t)
	w.offer(topology.ReadAnyone)
	for _, header := range []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"} {
		if got := w.ask("POST", api.DrainPath, drainWeb1, bearing(alices), header); got.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", header, got.status, got.body)
		}
	}
	if got := w.ask("POST", api.DrainPath, drainWeb1, bearing(alices), "Content-Type: text/plain"); got.status != http.StatusUnsupportedMediaType {
		t.Errorf("a form's media type: %d %s", got.status, got.body)
	}
	if got := w.ask("POST", api.DrainPath, drainWeb1, "Cookie: token="+alices); got.status != http.StatusUnauthorized {
		t.Errorf("a cookie: %d %s", got.status, got.body)
	}
	if got := w.ask("POST", api.DrainPath, drainWeb1, bearing(alices), "Sec-Fetch-Site: same-origin", "Origin: "+w.url); got.status != 200 {
		t.Errorf("our own page: %d %s", got.status, got.body)
	}
	if n := len(w.operator.asked); n != 1 {
		t.Errorf("%d drains, want that of our own page", n)
	}
}

// TestANameThatIsNotOursReadsNothing: DNS rebinding.
func TestANameThatIsNotOursReadsNothing(t *testing.T) {
	w := enter(t)
	w.offer(topology.ReadAnyone)
	for host, want := range map[string]int{
		"evil.example": 403, "evil.example:8080": 403, "localhost.evil.example": 403, "": 403,
		"localhost:8080": 200, "ui.localhost": 200, "127.0.0.1": 200, "127.0.0.1:8080": 200, "[::1]:8080": 200, "[::1]": 200,
	} {
		if host == "" {
			host = " "
		}
		if got := w.ask("GET", api.StatusPath, "", "Host: "+host); got.status != want && got.err == nil {
			t.Errorf("Host %q: %d, want %d", host, got.status, want)
		}
	}
}

// TestWrongTokensAreSlowedDown, of the address that they come from, and then even the
// right one, or guessing would not be slowed at all.
func TestWrongTokensAreSlowedDown(t *testing.T) {
	w := enter(t)
	w.offer(topology.ReadAnyone)
	for range failures {
		if got := w.ask("GET", api.StatusPath, "", bearing("a-wrong-token-that-is-long")); got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") == "" {
			t.Fatalf("%d %v", got.status, got.header)
		}
	}
	if got := w.ask("GET", api.StatusPath, "", bearing(alices)); got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" {
		t.Errorf("the next is answered by %d", got.status)
	}
	if got := w.ask("GET", api.StatusPath, ""); got.status != 200 {
		t.Errorf("who shows none gets %d", got.status)
	}
}

func TestChangesAreSlowedDown(t *testing.T) {
	w := enter(t)
	w.offer(topology.ReadAnyone)
	last := answer{}
	for range changes + 20 {
		last = w.ask("POST", api.DrainPath, drainWeb1, bearing(alices))
	}
	if last.status != http.StatusTooManyRequests || last.code() != api.TooMany {
		t.Errorf("after %d changes at once: %d %s", changes+20, last.status, last.body)
	}
	if got := w.ask("POST", api.DrainPath, drainWeb1, bearing(web1s)); got.status != 200 {
		t.Errorf("another caller gets %d", got.status)
	}
}

func TestHeadersMakeBrowsersCareful(t *testing.T) {
	w := enter(t)
	w.offer(topology.ReadAnyone)
	for _, path := range []string{"/", api.StatusPath, "/metrics", "/v1/nothing"} {
		header := w.ask("GET", path, "").header
		if !strings.HasPrefix(header.Get("Content-Security-Policy"), "default-src 'none'") || header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", path, header)
		}
	}
}

// TestTheListenerFollowsTheFile through a reload, a port that is taken, and to
// nothing.
func TestTheListenerFollowsTheFile(t *testing.T) {
	w := enter(t)
	first := w.offer(topology.ReadAnyone)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	next := first
	next.Listen = taken.Addr().(*net.TCPAddr).AddrPort()
	w.become(next)
	if warning := receive(t, w.warned); !strings.Contains(warning, "another program does") {
		t.Errorf("status warns %q", warning)
	}
	if got := w.ask("GET", api.StatusPath, ""); got.status != 200 {
		t.Errorf("the former listener has gone: %+v", got)
	}
	taken.Close()
	w.become(next) // or in a few seconds by itself
	w.listens()
	if warning := receive(t, w.warned); warning != "" {
		t.Errorf("status still warns %q", warning)
	}
	if got := w.ask("GET", api.StatusPath, ""); got.status != 200 {
		t.Errorf("the new listener: %+v", got)
	}
	if conn, err := net.Dial("tcp", first.Listen.String()); err == nil {
		conn.Close()
		t.Error("the former listener is still there")
	}
	w.obeys(topology.Web{})
	if conn, err := net.Dial("tcp", next.Listen.String()); err == nil {
		conn.Close()
		t.Error("it listens though the file says nothing of it")
	}
}

// TestATokenThatCannotBeReadIsWarnedOf and good for nothing, while others are.
func TestATokenThatCannotBeReadIsWarnedOf(t *testing.T) {
	w := enter(t)
	web := topology.Web{Listen: freePort(t), Read: topology.ReadAnyone, Tokens: []topology.Token{
		{Name: "alice", Secret: topology.Secret{File: w.file("alice", alices)}},
		{Name: "bob", Secret: topology.Secret{File: w.dir + "/nothing"}},
		{Name: "short", Secret: topology.Secret{File: w.file("short", "hunter2")}},
	}}
	w.become(web)
	w.listens()
	warning := receive(t, w.warned)
	if !strings.Contains(warning, "token bob") || !strings.Contains(warning, "openssl rand") || strings.Contains(warning, "hunter2") {
		t.Errorf("status warns %q", warning)
	}
	for token, want := range map[string]int{alices: 200, "hunter2": 401, "": 401} {
		if got := w.ask("POST", api.DrainPath, drainWeb1, bearing(token)); got.status != want {
			t.Errorf("token %q: %d, want %d", token, got.status, want)
		}
	}
	w.file("alice", web1s)
	w.obeys(web)
	if got := w.ask("POST", api.DrainPath, drainWeb1, bearing(alices)); got.status != 401 {
		t.Errorf("a token that was changed still works: %d", got.status)
	}
}
