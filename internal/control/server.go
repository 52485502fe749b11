package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"

	"github.com/routesteer/routesteer/api"
)

// Serve answers operators on listener until ctx is done, then lets requests
// end for a short while. It closes listener. Requests in progress see their
// context end with ctx.
func Serve(ctx context.Context, listener net.Listener, operator api.Operator, log *slog.Logger) error {
	server := &http.Server{
		Handler:           Handler(operator, peerName),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       withPeer,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		// What net/http has to say is a panic in a handler, or a peer's nonsense.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve operators on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	err := shutdown(server)
	<-served // http.ErrServerClosed, at once after Shutdown
	return err
}

// shutdown ends the server within shutdownTimeout, if need be by cutting
// connections.
func shutdown(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	}
	return err
}

// Handler returns the API of an operator, by the paths of package api. who names
// who sent the request of a context, for the record.
//
// It is a table and not an http.ServeMux because paths are exact: nothing is
// redirected, and every refusal is JSON.
func Handler(operator api.Operator, who func(context.Context) string) http.Handler {
	s := &server{operator: operator, who: who}
	handlers := map[string]http.HandlerFunc{
		api.StatusPath:      answer(http.MethodGet, s.status),
		api.PlanPath:        answer(http.MethodGet, s.plan),
		api.CheckPath:       answer(http.MethodPost, s.check),
		api.ReloadPath:      answer(http.MethodPost, s.reload),
		api.EventsPath:      s.events,
		api.TransitionsPath: s.transitions,

		api.ExplainPath:  s.explain,
		api.SimulatePath: answer(http.MethodPost, s.simulate),
	}
	for path, do := range wishes(operator, who) {
		handlers[path] = answer(http.MethodPost, do)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handle, ok := handlers[r.URL.Path]
		if !ok {
			WriteError(w, &api.Error{Code: api.NotFound, Message: fmt.Sprintf("no such path: %q", r.URL.Path)})
			return
		}
		handle(w, r)
	})
}

// A server is the API of one operator.
type server struct {
	operator api.Operator
	who      func(context.Context) string
}

func (s *server) status(ctx context.Context, _ []byte) (any, error) {
	return s.operator.Status(ctx)
}

func (s *server) plan(ctx context.Context, _ []byte) (any, error) {
	return s.operator.Plan(ctx)
}

func (s *server) check(ctx context.Context, body []byte) (any, error) {
	var request api.CheckRequest
	if err := decode(body, &request); err != nil {
		return nil, err
	}
	results, err := s.operator.Check(ctx, request.Server)
	if results == nil {
		results = []api.CheckResult{} // never null
	}
	return results, err
}

// transitions reads ?server=NAME.
func (s *server) transitions(w http.ResponseWriter, r *http.Request) {
	withParameter("server", func(ctx context.Context, name string) (any, error) {
		all, err := s.operator.Transitions(ctx, name)
		if all == nil {
			all = []api.Transition{} // never null
		}
		return all, err
	})(w, r)
}

// explain reads ?vip=WORD.
func (s *server) explain(w http.ResponseWriter, r *http.Request) {
	withParameter("vip", func(ctx context.Context, word string) (any, error) {
		if word == "" {
			return nil, badRequest("which VIP? ?vip= is empty")
		}
		return s.operator.Explain(ctx, word)
	})(w, r)
}

// withParameter turns a function of the query's only parameter into a handler.
func withParameter(name string, do func(ctx context.Context, value string) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		query, err := url.ParseQuery(r.URL.RawQuery)
		for key := range query {
			if key != name {
				err = fmt.Errorf("unknown parameter %q", key)
			}
		}
		if err != nil {
			WriteError(w, badRequest("the query is not as expected: %v", err))
			return
		}
		answer(http.MethodGet, func(ctx context.Context, _ []byte) (any, error) { return do(ctx, query.Get(name)) })(w, r)
	}
}

func (s *server) simulate(ctx context.Context, body []byte) (any, error) {
	var request api.SimulateRequest
	if err := decode(body, &request); err != nil {
		return nil, err
	}
	return s.operator.Simulate(ctx, request)
}

func (s *server) reload(ctx context.Context, body []byte) (any, error) {
	var request api.ReloadRequest
	if err := decode(body, &request); err != nil {
		return nil, err
	}
	request.By = s.who(ctx)
	return s.operator.Reload(ctx, request)
}
