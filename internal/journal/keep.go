package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/routesteer/routesteer/api"
)

const (
	// syncAfter is how long an event may be on its way to the disk: so much of the journal a loss
	// of power may cost. A controller that is killed loses nothing that was written, which takes no
	// time worth speaking of.
	syncAfter = 2 * time.Second
	// firstRetry is the pause after a failure, which doubles up to lastRetry.
	firstRetry = time.Second
	lastRetry  = time.Minute
	// batch is how many bytes are written at once.
	batch = 256 << 10
	// stopLimit is how long the end waits for a log, or a disk, that takes no more.
	stopLimit = time.Second
)

// Keep writes every event from now on to the file, in a goroutine of its own: a disk that
// is full, slow or gone must not concern steering. While it cannot, Trouble says why;
// what was missed an event says afterwards. The function it returns writes what is left,
// and ends it.
func (j *Journal) Keep() (stop func()) {
	if j.path == "" {
		return func() {}
	}
	return inBackground(newKeeper(j).run)
}

// inBackground runs f until the function that is returned is called, which waits for its end
// for a moment.
func inBackground(f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	return func() {
		cancel()
		timer := time.NewTimer(stopLimit)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
		}
	}
}

// A keeper writes a journal's events to its file.
type keeper struct {
	journal *Journal
	file    file
	written uint64 // the last event that was
	failing bool
	backoff time.Duration
	retryAt time.Time // zero while all is well
	syncAt  time.Time // zero while there is nothing to make durable
}

func newKeeper(j *Journal) *keeper {
	return &keeper{journal: j, file: file{path: j.path}, written: j.from - 1, failing: j.trouble != ""}
}

// run writes what comes until ctx is done, and then what is left.
func (k *keeper) run(ctx context.Context) {
	for ctx.Err() == nil {
		grown := k.write()
		select {
		case <-ctx.Done():
		case <-grown:
		case <-at(k.retryAt):
		case <-at(k.syncAt):
			k.syncAt = time.Time{}
			k.judge(k.file.sync())
		}
	}
	k.write()
	k.judge(errors.Join(k.file.sync(), k.file.close()))
}

// at is a timer's channel; nil for the zero time.
func at(moment time.Time) <-chan time.Time {
	if moment.IsZero() {
		return nil
	}
	return time.After(time.Until(moment))
}

// write writes what there is, and returns what is closed when there is more; nil while
// a failure is waited for to pass.
func (k *keeper) write() <-chan struct{} {
	if time.Now().Before(k.retryAt) {
		return nil
	}
	for {
		events, grown := k.journal.after(k.written)
		if len(events) == 0 {
			if k.failing { // a disk that did not take what was written
				k.judge(k.file.sync())
			}
			return grown
		}
		lines, n := encode(events)
		missed, before := events[0].Seq-k.written-1, k.written
		if k.judge(k.file.append(lines)); k.failing {
			return nil
		}
		k.written = events[n-1].Seq
		if k.syncAt.IsZero() {
			k.syncAt = time.Now().Add(syncAfter)
		}
		if missed > 0 {
			k.tell("missed", fmt.Sprintf("the file of events lacks %d, from %d to %d", missed, before+1, before+missed))
		}
	}
}

// encode is as many events as fit into a batch, a line each.
func encode(events []api.Event) (lines []byte, n int) {
	for n < len(events) && (n == 0 || len(lines) < batch) {
		line, err := json.Marshal(events[n])
		if err != nil {
			panic("journal: cannot write an event as JSON: " + err.Error())
		}
		lines = append(append(lines, line...), '\n')
		n++
	}
	return lines, n
}

// judge takes in what became of an attempt, and tells if that is news.
func (k *keeper) judge(err error) {
	switch {
	case err != nil:
		k.backoff = min(max(2*k.backoff, firstRetry), lastRetry)
		k.retryAt = time.Now().Add(k.backoff)
		text := fmt.Sprintf("events are not kept: %v; make room or give the right to write there", err)
		k.journal.setTrouble(text)
		if !k.failing {
			k.failing = true
			k.tell("trouble", text)
		}
	case k.failing:
		k.failing, k.backoff, k.retryAt = false, 0, time.Time{}
		k.journal.setTrouble("")
		k.tell("keeping", "events are kept again in "+k.file.path)
	}
}

// tell records an event of the keeper's own.
func (k *keeper) tell(to, reason string) {
	severity := api.WarningSeverity
	if to == "keeping" {
		severity = api.NoticeSeverity
	}
	k.journal.Record(api.Event{Kind: api.ControllerEvent, Severity: severity, Cause: "events", To: to, Reason: reason})
}
