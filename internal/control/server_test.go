package control

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/client"
)

func TestRequestsThatAreNotAsTheyShouldBeAreRefused(t *testing.T) {
	tests := []struct {
		name         string
		method, path string
		body         string
		header       http.Header
		status       int
		want         string
	}{
		{"an unknown path", "GET", "/v2/status", "", nil, 404, `no such path: "/v2/status"`},
		{"another method", "GET", "/v1/drain", "", nil, 405, "/v1/drain takes POST, not GET"},
		{"another method for events", "DELETE", "/v1/events", "", nil, 405, "takes GET"},
		{"a body where none is taken", "GET", "/v1/status", "{}", nil, 400, "takes no body"},
		{"an unknown field", "POST", "/v1/drain", `{"servers":["web1"],"colour":1}`, nil, 400, `unknown field "colour"`},
		{"by cannot be claimed", "POST", "/v1/drain", `{"servers":["web1"],"by":"root"}`, nil, 400, `unknown field "by"`},
		{"no server", "POST", "/v1/drain", `{}`, nil, 400, "which servers?"},
		{"no server to undrain", "POST", "/v1/undrain", `{}`, nil, 400, "which servers?"},
		{"no JSON", "POST", "/v1/reload", `hello`, nil, 400, "not as expected"},
		{"no body", "POST", "/v1/reload", ``, nil, 400, "not as expected"},
		{"two values", "POST", "/v1/reload", `{}{}`, nil, 400, "goes on"},
		{"a long body", "POST", "/v1/check", `{"server":"` + strings.Repeat("x", maxBody), nil, 413, "longer than 65536"},
		{"another media type", "POST", "/v1/check", `{}`, http.Header{"Content-Type": {"text/plain"}}, 415, `"text/plain"`},
		{"no media type", "POST", "/v1/check", `{}`, http.Header{"Content-Type": nil}, 415, "Content-Type"},
		{"nonsense for since", "GET", "/v1/events?since=-1", "", nil, 400, `"since"`},
		{"an unknown parameter", "GET", "/v1/events?sicne=1", "", nil, 400, `"sicne"`},
		{"no VIP to explain", "GET", "/v1/explain", "", nil, 400, "which VIP?"},
		{"another parameter than the VIP", "GET", "/v1/explain?server=web1", "", nil, 400, `"server"`},
		{"another method for explain", "POST", "/v1/explain?vip=shop", "{}", nil, 405, "takes GET"},
		{"an unknown field of a simulation", "POST", "/v1/simulate", `{"stpes":[]}`, nil, 400, `unknown field "stpes"`},
		{"a broken query", "GET", "/v1/events?%zz", "", nil, 400, "query"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			operator := &fakeOperator{}
			request := httptest.NewRequest(test.method, test.path, strings.NewReader(test.body))
			request.Header.Set("Content-Type", api.JSONType)
			for key, values := range test.header {
				request.Header[key] = values
			}
			recorder := httptest.NewRecorder()
			Handler(operator, peerName).ServeHTTP(recorder, request)
			failure := readFailure(t, recorder)
			if recorder.Code != test.status || !strings.Contains(failure.Message, test.want) {
				t.Errorf("got %d %q, want %d and %q", recorder.Code, failure.Message, test.status, test.want)
			}
			if asked := operator.last(); asked != nil {
				t.Errorf("the operator was asked: %v", asked)
			}
		})
	}
}

func readFailure(t *testing.T, recorder *httptest.ResponseRecorder) api.Error {
	t.Helper()
	var failure api.Error
	if err := json.Unmarshal(recorder.Body.Bytes(), &failure); err != nil {
		t.Fatalf("%v in %q", err, recorder.Body)
	}
	return failure
}

func TestStoppingEndsRequestsInProgress(t *testing.T) {
	path := t.TempDir() + "/r.sock"
	operator := &fakeOperator{block: make(chan struct{})}
	stop := serveAt(t, path, operator)
	answered := make(chan error)
	go func() {
		_, err := client.New(path).Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}})
		answered <- err
	}()
	<-operator.block
	stop()
	if err := <-answered; err == nil {
		t.Error("the drain succeeded")
	}
}

// FuzzServer sends any request to the API: it must not panic, must answer
// soon, and must say what it thinks in JSON.
func FuzzServer(f *testing.F) {
	f.Add("GET", "/v1/status", "", "")
	f.Add("POST", "/v1/drain", api.JSONType, `{"servers":["web1"],"reason":"x","force":true,"until":"2026-11-28T05:00:00Z"}`)
	f.Add("POST", "/v1/undrain", api.JSONType, `{"servers":["web1"]}`)
	f.Add("POST", "/v1/check", api.JSONType+"; charset=utf-8", `{}`)
	f.Add("POST", "/v1/reload", api.JSONType, `null`)
	f.Add("GET", "/v1/explain?vip=203.0.113.33", "", "")
	f.Add("POST", "/v1/simulate", api.JSONType, `{"steps":["down web1","after 60s"],"losses":1}`)
	f.Add("GET", "/v1/events?since=2&follow=true", "", "")
	f.Add("GET", "/v1/events?since=18446744073709551615", "", "")
	f.Add("GET", "//v1/../v1/plan?x=%zz", "", "")
	f.Fuzz(func(t *testing.T, method, target, media, body string) {
		address, err := url.ParseRequestURI(target)
		if err != nil {
			return // net/http refuses it before the handler
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		request := httptest.NewRequestWithContext(ctx, "GET", "/", strings.NewReader(body))
		request.Method, request.URL, request.RequestURI = method, address, target
		request.Header.Set("Content-Type", media)
		recorder := httptest.NewRecorder()
		Handler(&fakeOperator{}, peerName).ServeHTTP(recorder, request)
		if recorder.Body.Len() > 3*maxBody {
			t.Errorf("the answer has %d bytes", recorder.Body.Len())
		}
		if recorder.Code >= 400 && readFailure(t, recorder).Message == "" {
			t.Errorf("%d without a message", recorder.Code)
		}
	})
}
