package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/control"
)

const (
	fresh   = time.Second            // a status without news is told again for so long
	share   = 10                     // one in so many seconds of a processor may go into statuses
	saving  = 300 * time.Millisecond // and so much at once, after a quiet time: a change is often several in a row
	longest = time.Second            // that somebody waits for it, whatever was spent
)

// statuses makes one status for all who ask for it at about the same time: of a
// large site it takes a processor's tenth of a second, and a hundred pages ask at
// each event. It is safe for concurrent use.
type statuses struct {
	operator api.Operator
	hub      *hub
	turn     chan struct{} // has room for who reads or makes latest
	latest   *snapshot
	budget   budget
}

// A snapshot is one status, in words.
type snapshot struct {
	made   time.Time
	seq    uint64 // the last event when it was begun
	status *api.Status

	full, brief form // made when they are asked for
}

// A form is a status as it is sent: in full, or in brief.
type form struct {
	text, zipped []byte
	tag          string
}

func newStatuses(operator api.Operator, hub *hub) *statuses {
	return &statuses{operator: operator, hub: hub, turn: make(chan struct{}, 1), budget: budget{credit: saving, at: time.Now()}}
}

// serve answers with the status; ?brief=true leaves out what is as it should be.
func (s *statuses) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		refuseMethod(w, r, http.MethodGet)
		return
	}
	brief, err := wantsBrief(r)
	if err != nil {
		control.WriteError(w, err)
		return
	}
	zip := strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
	form, err := s.form(r.Context(), brief, zip)
	if err != nil {
		control.WriteError(w, err)
		return
	}
	form.write(w, r, zip)
}

func wantsBrief(r *http.Request) (bool, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	brief := false
	for key := range query {
		switch value := query.Get(key); {
		case key == "brief" && (value == "true" || value == "false"):
			brief = value == "true"
		default:
			err = fmt.Errorf("unknown parameter %q", key+"="+value)
		}
	}
	if err != nil {
		return false, &api.Error{Code: api.BadRequest, Message: fmt.Sprintf("the query is not as expected: %v", err)}
	}
	return brief, nil
}

// form returns the status as of now, as it is to be sent.
func (s *statuses) form(ctx context.Context, brief, zip bool) (form, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return form{}, ctx.Err()
	}
	if err := s.renew(ctx); err != nil {
		return form{}, err
	}
	began := time.Now()
	defer func() { s.budget.spend(time.Since(began)) }()
	f := &s.latest.full
	if brief {
		f = &s.latest.brief
	}
	if f.text == nil {
		f.text, f.tag = words(s.latest.status, brief)
	}
	if zip && f.zipped == nil {
		f.zipped = zipped(f.text)
	}
	return *f, nil
}

// renew makes a new status unless the latest one is as good.
func (s *statuses) renew(ctx context.Context) error {
	_, seq, _ := s.hub.now()
	if s.latest != nil && s.latest.seq == seq && time.Since(s.latest.made) < fresh {
		return nil
	}
	if !pause(ctx, s.budget.wait(time.Now())) {
		return ctx.Err()
	}
	_, seq, _ = s.hub.now()
	began := time.Now()
	status, err := s.operator.Status(ctx)
	if err != nil {
		return err
	}
	s.latest = &snapshot{made: began, seq: seq, status: status}
	s.budget.spend(time.Since(began))
	return nil
}

// A budget is processor time that may be spent: it grows by a share of the time that
// passes, up to saving.
type budget struct {
	credit time.Duration // below zero after more was spent than there was
	at     time.Time     // as of then
}

// wait is how long it takes until there is something to spend, or the longest that
// somebody may wait: then what was spent too much is forgiven.
func (b *budget) wait(now time.Time) time.Duration {
	b.credit, b.at = min(saving, b.credit+now.Sub(b.at)/share), now
	b.credit = max(b.credit, -longest/share)
	return max(0, -b.credit*share)
}

func (b *budget) spend(d time.Duration) { b.credit -= d }

// words puts a status into words. The tag of one in brief is the same as long as
// nothing but the time has changed; one in full is never the same.
func words(status *api.Status, brief bool) (text []byte, tag string) {
	if !brief {
		return encode(status), ""
	}
	short := *status.Brief()
	text = encode(&short)
	short.Time = time.Time{}
	sum := fnv.New128a()
	sum.Write(encode(&short))
	return text, fmt.Sprintf(`W/"%x"`, sum.Sum(nil))
}

func encode(status *api.Status) []byte {
	text, err := json.Marshal(status)
	if err != nil {
		panic("web: cannot write the status as JSON: " + err.Error())
	}
	return append(text, '\n')
}

// zipped compresses as fast as can be: it is as much as what is saved on the way.
func zipped(text []byte) []byte {
	var out bytes.Buffer
	writer, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed) // the level is one that there is
	_, _ = writer.Write(text)                              // a buffer takes all
	_ = writer.Close()
	return out.Bytes()
}

// write sends the status, or that it is what the client has.
func (f form) write(w http.ResponseWriter, r *http.Request, zip bool) {
	header := w.Header()
	header.Set("Vary", "Accept-Encoding")
	if f.tag != "" {
		header.Set("Cache-Control", "no-cache") // ask each time, by If-None-Match
		header.Set("ETag", f.tag)
	}
	control.AllowWrite(w)
	if f.tag != "" && r.Header.Get("If-None-Match") == f.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Type", api.JSONType)
	text := f.text
	if zip {
		header.Set("Content-Encoding", "gzip")
		text = f.zipped
	}
	header.Set("Content-Length", fmt.Sprint(len(text)))
	_, _ = w.Write(text) // a client that has gone needs no answer
}
