package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/routesteer/routesteer/api"
)

// events streams events, one JSON value a line, and blank lines while there is
// nothing to tell.
func (s *server) events(w http.ResponseWriter, r *http.Request) {
	if _, err := readRequest(w, r, http.MethodGet); err != nil {
		WriteError(w, err)
		return
	}
	request, err := parseEventsQuery(r.URL.RawQuery)
	if err != nil {
		WriteError(w, err)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	items := make(chan item)
	go pull(ctx, s.operator, request, items)
	defer func() {
		cancel()
		for range items { // until pull has ended
		}
	}()

	stream := stream{w: w}
	if request.Follow && stream.write(nil) != nil { // the client learns at once that it is heard
		return
	}
	stream.copy(items)
}

// parseEventsQuery reads the query of an EventsRequest.
func parseEventsQuery(raw string) (api.EventsRequest, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return api.EventsRequest{}, badRequest("the query is not as expected: %v", err)
	}
	request, err := api.ParseEventsQuery(query)
	if err != nil {
		return request, badRequest("%v", err)
	}
	return request, nil
}

// An item is what the operator's iterator yielded.
type item struct {
	event api.Event
	err   error
	panic any // with its stack; to be raised where net/http recovers it
}

// pull moves events from the operator to items until ctx ends or there are no
// more, then closes items. The iterator needs a goroutine of its own because
// it blocks while the stream wants to write blank lines.
func pull(ctx context.Context, operator api.Operator, request api.EventsRequest, items chan<- item) {
	defer close(items)
	give := func(i item) bool {
		select {
		case items <- i:
			return true
		case <-ctx.Done():
			return false
		}
	}
	defer func() {
		if p := recover(); p != nil {
			give(item{panic: fmt.Sprintf("%v\n%s", p, debug.Stack())})
		}
	}()
	for event, err := range operator.Events(ctx, request) {
		if !give(item{event: event, err: err}) || err != nil {
			return
		}
	}
}

// A stream writes lines to a client and flushes each.
type stream struct {
	w       http.ResponseWriter
	started bool
}

// copy writes items until there are no more or the client has gone. An error
// before the first line is an ordinary answer, one after it the last line.
func (s *stream) copy(items <-chan item) {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		var err error
		select {
		case item, more := <-items:
			switch {
			case item.panic != nil:
				panic(item.panic)
			case !more && !s.started:
				err = s.write(nil) // no events is an answer too
			case !more:
			case item.err != nil && !s.started:
				WriteError(s.w, item.err)
			case item.err != nil:
				err = s.writeLine(struct {
					Error *api.Error `json:"error"`
				}{asError(item.err)})
			default:
				err = s.writeLine(item.event)
			}
			if !more || item.err != nil {
				return
			}
		case <-tick.C:
			err = s.write([]byte("\n"))
		}
		if err != nil { // the client has gone or does not read
			return
		}
	}
}

func (s *stream) writeLine(value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		panic("control: cannot write an event as JSON: " + err.Error())
	}
	return s.write(append(text, '\n'))
}

func (s *stream) write(text []byte) error {
	AllowWrite(s.w)
	if !s.started {
		s.w.Header().Set("Content-Type", api.NDJSONType)
		s.started = true
	}
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	return http.NewResponseController(s.w).Flush()
}
