package web

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/routesteer/routesteer/api"
)

const (
	maxFrames = 1024        // kept for watchers; one that falls behind further is hung up on
	hubRetry  = time.Second // after the stream of events has broken off
)

// A hub puts each event into words once, for all who watch. It is safe for
// concurrent use; a watcher that is slow, or stuck, holds up nobody.
type hub struct {
	mu     sync.Mutex
	frames []frame       // the latest maxFrames, and up to as many again
	end    uint64        // how many there have been
	seq    uint64        // of the last event
	grown  chan struct{} // closed, and replaced, when there is one more
}

// A frame is one event as browsers get it.
type frame struct {
	seq  uint64
	text []byte
}

func newHub() *hub { return &hub{grown: make(chan struct{})} }

// run follows the operator's events until ctx ends.
func (h *hub) run(ctx context.Context, operator api.Operator) {
	request := api.EventsRequest{After: time.Now(), Follow: true}
	for ctx.Err() == nil {
		for event, err := range operator.Events(ctx, request) {
			if err != nil {
				break
			}
			h.add(event)
			request = api.EventsRequest{Since: event.Seq, Follow: true}
		}
		select {
		case <-time.After(hubRetry):
		case <-ctx.Done():
		}
	}
}

func (h *hub) add(event api.Event) {
	added := frame{event.Seq, frameOf(event)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.frames = append(h.frames, added)
	if len(h.frames) >= 2*maxFrames {
		h.frames = append([]frame(nil), h.frames[maxFrames:]...)
	}
	h.end++
	h.seq = event.Seq
	close(h.grown)
	h.grown = make(chan struct{})
}

// frameOf is an event in the words of the HTML standard, section 9.2.6.
func frameOf(event api.Event) []byte {
	text, err := json.Marshal(event)
	if err != nil {
		panic("web: cannot write an event as JSON: " + err.Error())
	}
	return fmt.Appendf(nil, "id: %d\ndata: %s\n\n", event.Seq, text)
}

// now is how many frames there have been, the number of the last event, and a
// channel that is closed when there is one more.
func (h *hub) now() (end, seq uint64, grown <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.end, h.seq, h.grown
}

// after returns the frames from position at on, where the next ones begin, and a
// channel that is closed when there are more. behind says that some of them are
// kept no longer.
func (h *hub) after(at uint64) (frames []frame, next uint64, grown <-chan struct{}, behind bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	missing := h.end - at
	if missing > uint64(len(h.frames)) {
		return nil, h.end, h.grown, true
	}
	// Frames are appended or the slice replaced, so that a part of it may be read outside the lock.
	return h.frames[len(h.frames)-int(missing):], h.end, h.grown, false
}
