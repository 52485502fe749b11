package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/control"
)

const (
	maxWatchers = 512
	heartbeat   = 15 * time.Second // a comment when there is nothing else to say
	streamPace  = 100 * time.Millisecond
	maxChunk    = 64 << 10 // of what is told again to one who comes back
)

// A watcher is one client of the stream of events.
type watcher struct {
	w    http.ResponseWriter
	at   uint64 // its position in the hub
	told uint64 // the last event
}

// stream sends events as they come, each as a message whose id is its number, and
// after them the message "state": what /v1/status says may have changed. A client
// that comes back names the last event it got, by Last-Event-ID or ?since=.
func (h *handler) stream(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		refuseMethod(w, r, http.MethodGet)
		return
	}
	since, again, err := lastEvent(r)
	if err != nil {
		control.WriteError(w, err)
		return
	}
	leave, err := h.watch()
	if err != nil {
		control.WriteError(w, err)
		return
	}
	defer leave()
	c := &watcher{w: w}
	c.at, c.told, _ = h.hub.now()
	w.Header().Set("Content-Type", api.SSEType)
	w.Header().Set("X-Accel-Buffering", "no") // a proxy must not wait for more (nginx)
	if c.write([]byte("retry: 2000\n\n")) != nil {
		return
	}
	if again && c.tellAgain(r.Context(), h.options.Operator, since) != nil {
		return
	}
	c.follow(r.Context(), h.hub)
}

// watch makes room for one more who watches.
func (h *handler) watch() (leave func(), err error) {
	if h.watchers.Add(1) > maxWatchers {
		h.watchers.Add(-1)
		return nil, &api.Error{Code: api.Unavailable, Message: fmt.Sprintf("%d are watching, which is all that there is room for", maxWatchers)}
	}
	return func() { h.watchers.Add(-1) }, nil
}

// lastEvent is the last event that the client got; again is false if it names none.
func lastEvent(r *http.Request) (since uint64, again bool, err error) {
	text := r.Header.Get("Last-Event-ID")
	query, err := url.ParseQuery(r.URL.RawQuery)
	for key := range query {
		if key != "since" {
			err = fmt.Errorf("unknown parameter %q", key)
		}
	}
	if given := query.Get("since"); text == "" {
		text = given
	}
	if err == nil && text != "" {
		since, err = strconv.ParseUint(text, 10, 64)
	}
	if err != nil {
		return 0, false, &api.Error{Code: api.BadRequest, Message: fmt.Sprintf("since which event? %v", err)}
	}
	return since, text != "", nil
}

// tellAgain sends the events after since that are kept.
func (c *watcher) tellAgain(ctx context.Context, operator api.Operator, since uint64) error {
	var chunk []byte
	for event, err := range operator.Events(ctx, api.EventsRequest{Since: since}) {
		if err != nil {
			return err
		}
		chunk = append(chunk, frameOf(event)...)
		c.told = event.Seq
		if len(chunk) >= maxChunk {
			if err := c.write(chunk); err != nil {
				return err
			}
			chunk = chunk[:0]
		}
	}
	return c.write(chunk)
}

// follow sends what comes until the client goes, does not read, or ctx ends. What
// comes together goes together, at most every streamPace.
func (c *watcher) follow(ctx context.Context, hub *hub) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	first := true
	for {
		frames, next, grown, behind := hub.after(c.at)
		if behind {
			return // it comes back, and is told what it missed
		}
		if c.at = next; len(frames) > 0 || first {
			if c.write(c.batch(frames)) != nil {
				return
			}
			first = false
			if !pause(ctx, streamPace) {
				return
			}
		}
		select {
		case <-grown:
		case <-beat.C:
			if c.write([]byte(":\n\n")) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// batch is what the client has not been told of the frames, and that the state may
// have changed.
func (c *watcher) batch(frames []frame) []byte {
	var text []byte
	for _, f := range frames {
		if f.seq > c.told {
			text = append(text, f.text...)
			c.told = f.seq
		}
	}
	return fmt.Appendf(text, "event: state\ndata: {\"seq\":%d}\n\n", c.told)
}

func (c *watcher) write(text []byte) error {
	control.AllowWrite(c.w)
	if _, err := c.w.Write(text); err != nil {
		return err
	}
	return http.NewResponseController(c.w).Flush()
}

// pause waits, and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
