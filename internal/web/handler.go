package web

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/control"
)

const (
	failures   = 10              // wrong tokens of an address at once
	failurePer = 1.0             // and a second
	changes    = 60              // of a caller at once
	changePer  = 2.0             // and a second
	lookers    = 4               // requests that look at everything, at a time
	bodyLimit  = 5 * time.Second // a request's body arrives within it
	policy     = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'" // Content-Security-Policy
)

// A handler answers requests of all listeners.
type handler struct {
	options  Options
	hub      *hub
	keys     atomic.Pointer[keys]
	api      http.Handler
	status   *statuses
	origin   *http.CrossOriginProtection
	wrong    *throttle[netip.Addr] // by where the wrong tokens came from
	often    *throttle[string]     // by who makes changes
	looking  chan struct{}         // has room for lookers
	watchers atomic.Int64
}

func newHandler(options Options, hub *hub) *handler {
	h := &handler{
		options: options,
		hub:     hub,
		api:     control.Handler(leash{options.Operator}, func(ctx context.Context) string { return callerOf(ctx).by }),
		status:  newStatuses(options.Operator, hub),
		origin:  http.NewCrossOriginProtection(),
		wrong:   newThrottle[netip.Addr](failurePer, failures),
		often:   newThrottle[string](changePer, changes),
		looking: make(chan struct{}, lookers),
	}
	h.keys.Store(&keys{})
	return h
}

// at is what answers at a place. Streams end with ctx.
func (h *handler) at(place place, ctx context.Context) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header())
		if !place.tls && place.listen.Addr().IsLoopback() && !isLocal(r.Host) {
			// A page from elsewhere whose name now means 127.0.0.1 (DNS rebinding).
			control.WriteError(w, &api.Error{
				Code: api.Forbidden, Message: "the Host header is not this machine",
				Hint: "ask for http://" + place.listen.String() + "; a proxy in front must send that as Host",
			})
			return
		}
		boundBody(w, r)
		h.admit(w, r, ctx)
	})
}

// setHeaders makes browsers careful with whatever we answer.
func setHeaders(header http.Header) {
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store") // the page's files say otherwise
}

// isLocal reports whether a Host header can mean nothing but what was connected
// to: an address, or a name that is this machine's by RFC 6761.
func isLocal(host string) bool {
	if _, err := netip.ParseAddrPort(host); err == nil {
		return true
	}
	name := host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name = host[:i]
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return true
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// boundBody gives a body its time. Who takes longer is cut off.
func boundBody(w http.ResponseWriter, r *http.Request) {
	if r.Body != http.NoBody {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyLimit))
	}
}

// admit finds out who asks and whether they may.
func (h *handler) admit(w http.ResponseWriter, r *http.Request, ctx context.Context) {
	keys, from := h.keys.Load(), remoteAddress(r.RemoteAddr)
	shown := r.Header.Get("Authorization") != ""
	if shown && h.wrong.exhausted(from, time.Now()) {
		tooMany(w, "too many wrong tokens came from "+from.String())
		return
	}
	caller, err := keys.identify(r)
	if err != nil {
		h.wrong.take(from, time.Now())
		unauthorized(w, err)
		return
	}
	need := needOf(r.URL.Path)
	if err := need.allows(caller, keys.read); err != nil {
		unauthorized(w, err)
		return
	}
	if r.Method == http.MethodPost && !h.mayPost(w, r, caller) {
		return
	}
	h.answer(w, r.WithContext(withCaller(r.Context(), caller)), ctx)
}

// mayPost refuses what another site may have made a browser send, and what comes
// too often.
func (h *handler) mayPost(w http.ResponseWriter, r *http.Request, c caller) bool {
	if err := h.origin.Check(r); err != nil {
		control.WriteError(w, &api.Error{Code: api.Forbidden, Message: "the request comes from another site: " + err.Error()})
		return false
	}
	if !h.often.take(c.by, time.Now()) {
		tooMany(w, c.by+" asks too often")
		return false
	}
	return true
}

// answer gives a request to who answers it.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, ctx context.Context) {
	switch path := r.URL.Path; {
	case path == api.StreamPath:
		h.until(ctx, w, r, h.stream)
	case path == api.EventsPath:
		h.until(ctx, w, r, h.events)
	case path == api.StatusPath:
		h.status.serve(w, r)
	case path == api.ExplainPath, path == api.TransitionsPath:
		h.inTurn(w, r, h.api)
	case isAPI(path):
		h.api.ServeHTTP(w, r)
	case path == metricsPath:
		control.AllowWrite(w)
		h.options.Metrics.ServeHTTP(w, r)
	default:
		control.AllowWrite(w)
		h.options.Page.ServeHTTP(w, r)
	}
}

// events is the API's, with a place among those who watch.
func (h *handler) events(w http.ResponseWriter, r *http.Request) {
	leave, err := h.watch()
	if err != nil {
		control.WriteError(w, err)
		return
	}
	defer leave()
	h.api.ServeHTTP(w, r)
}

// until has a request's context end with ctx, too.
func (h *handler) until(ctx context.Context, w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	own, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	serve(w, r.WithContext(own))
}

// inTurn lets few look at everything at a time: each holds up the controller's
// loop for a moment.
func (h *handler) inTurn(w http.ResponseWriter, r *http.Request, next http.Handler) {
	select {
	case h.looking <- struct{}{}:
		defer func() { <-h.looking }()
		next.ServeHTTP(w, r)
	case <-r.Context().Done():
	}
}

// unauthorized refuses by RFC 9110, section 11.6.1, where a token would help.
func unauthorized(w http.ResponseWriter, err error) {
	if failure, is := err.(*api.Error); is && failure.Code == api.Unauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="routesteer"`)
	}
	control.WriteError(w, err)
}

func tooMany(w http.ResponseWriter, message string) {
	w.Header().Set("Retry-After", "1")
	control.WriteError(w, &api.Error{Code: api.TooMany, Message: message, Hint: "try again in a second"})
}

func refuseMethod(w http.ResponseWriter, r *http.Request, method string) {
	w.Header().Set("Allow", method)
	control.WriteError(w, &api.Error{Code: api.BadRequest, Message: r.URL.Path + " takes " + method + ", not " + r.Method})
}
