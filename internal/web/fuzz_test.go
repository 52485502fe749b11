package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

// FuzzHandler holds that no request makes the handler panic or answer without end,
// that a refusal is an Error, and that nothing is changed without a token.
func FuzzHandler(f *testing.F) {
	for _, seed := range []struct{ method, target, header, body string }{
		{"GET", "/v1/status?brief=true", "If-None-Match: W/\"1\"\nAccept-Encoding: gzip", ""},
		{"GET", "/v1/events?since=1&kind=verdict&last=9", "", ""},
		{"GET", "/v1/events/stream?since=18446744073709551615", "Last-Event-ID: x", ""},
		{"GET", "/v1/explain?vip=%00", "Authorization: Bearer " + alices, ""},
		{"POST", "/v1/drain", "Content-Type: application/json\nAuthorization: Bearer " + web1s, `{"servers":["web1"],"until":"2026-03-01T12:00:00Z"}`},
		{"POST", "/v1/drain", "Content-Type: application/json\nAuthorization: Basic x", `{"servers":[` + strings.Repeat(`"a",`, 100) + `""]}`},
		{"POST", "/v1/reload", "Content-Type: application/json\nOrigin: https://evil.example", "{}"},
		{"PUT", "/v1/", "Host: evil.example", strings.Repeat("[", 10000)},
		{"GET", "/metrics", "Authorization: bearer", ""},
	} {
		f.Add(seed.method, seed.target, seed.header, seed.body)
	}
	f.Fuzz(func(t *testing.T, method, target, header, body string) {
		operator := newFakeOperator()
		operator.happen("something")
		h := newHandler(Options{Operator: operator, Page: http.NotFoundHandler(), Metrics: http.NotFoundHandler()}, newHub())
		h.keys.Store(&keys{read: topology.ReadAnyone, tokens: []token{tokenOf("alice", alices), tokenOf("web1", web1s, "web1")}})
		request, err := http.NewRequest(method, "http://localhost", strings.NewReader(body))
		if err != nil {
			return // what net/http does not let through
		}
		if request.URL, err = url.ParseRequestURI(target); err != nil {
			return
		}
		for line := range strings.Lines(header) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			request.Header.Set(name, value)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // streams have no end
		defer cancel()
		request.RemoteAddr = "192.0.2.7:1"
		recorder := httptest.NewRecorder()
		h.at(place{listen: netip.MustParseAddrPort("127.0.0.1:1")}, ctx).ServeHTTP(recorder, request.WithContext(ctx))
		if recorder.Body.Len() > 1<<20 {
			t.Errorf("%d bytes for %q", recorder.Body.Len(), target)
		}
		failure := api.Error{}
		if recorder.Code >= 400 && isAPI(request.URL.Path) && (json.Unmarshal(recorder.Body.Bytes(), &failure) != nil || failure.Code == "") {
			t.Errorf("%d is no Error: %q", recorder.Code, recorder.Body)
		}
		for _, drain := range operator.asked {
			if drain.By != "token:alice" && (drain.By != "token:web1" || len(drain.Servers) != 1 || drain.Servers[0] != "web1") {
				t.Errorf("drained %v by %q", drain.Servers, drain.By)
			}
		}
	})
}

func tokenOf(name, text string, servers ...string) token {
	return token{sumOf(text), caller{by: "token:" + name, servers: servers}}
}
