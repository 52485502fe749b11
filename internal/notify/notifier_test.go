package notify

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

// A site that tests make events of.
type fakeSite struct {
	api.Operator // no other method is called
	mu           sync.Mutex
	events       []api.Event
	grown        chan struct{}
	warnings     map[string]string
}

func newFakeSite() *fakeSite {
	return &fakeSite{grown: make(chan struct{}), warnings: map[string]string{}}
}

func (f *fakeSite) happens(event api.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	event.Seq = uint64(len(f.events) + 1)
	f.events = append(f.events, event)
	close(f.grown)
	f.grown = make(chan struct{})
}

func (f *fakeSite) after(seq uint64) ([]api.Event, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.events[seq:]), f.grown
}

func (f *fakeSite) Events(ctx context.Context, request api.EventsRequest) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		last := request.Since
		for {
			events, grown := f.after(last)
			for _, event := range events {
				last = event.Seq
				if request.Admits(event) && !yield(event, nil) {
					return
				}
			}
			select {
			case <-grown:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (f *fakeSite) warn(_ context.Context, part, text string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.warnings[part] = text
	return nil
}

func (f *fakeSite) warning(part string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.warnings[part]
}

func (f *fakeSite) options() Options {
	return Options{Operator: f, Warn: f.warn, Log: slog.New(slog.DiscardHandler)}
}

// A fakeSender does as a test says, and remembers.
type fakeSender struct {
	mu      sync.Mutex
	does    func(ctx context.Context) error // nil for nothing
	tries   int
	arrived []Message
}

func (f *fakeSender) send(ctx context.Context, message Message) error {
	f.mu.Lock()
	f.tries++
	does := f.does
	f.mu.Unlock()
	if does != nil {
		if err := does(ctx); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.arrived = append(f.arrived, message)
	return nil
}

func (f *fakeSender) becomes(does func(context.Context) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.does = does
}

func (f *fakeSender) titles() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var titles []string
	for _, message := range f.arrived {
		titles = append(titles, message.Title)
	}
	return titles
}

// withNotifier runs a test in fake time, with a notifier of warnings.
func withNotifier(t *testing.T, test func(t *testing.T, site *fakeSite, sender *fakeSender, n *notifier)) {
	synctest.Test(t, func(t *testing.T) {
		site, sender := newFakeSite(), &fakeSender{}
		config := testConfig("warning")
		config.Exec = &topology.NotifyExec{Command: []string{"/bin/false"}}
		n := newNotifier(config, "edge", site.options())
		n.sender = sender
		n.start(t.Context())
		defer n.stop()
		test(t, site, sender, n)
	})
}

func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestEventsThatComeTogetherAreOneMessage(t *testing.T) {
	withNotifier(t, func(t *testing.T, site *fakeSite, sender *fakeSender, _ *notifier) {
		for _, event := range outage() {
			event.Time = time.Now()
			site.happens(event)
		}
		later(4 * time.Second)
		if got := sender.titles(); len(got) != 0 {
			t.Errorf("after 4 s there is %q", got)
		}
		later(2 * time.Second)
		if got := sender.titles(); len(got) != 1 || !strings.Contains(got[0], "[CRITICAL]") {
			t.Errorf("got %q, want one message", got)
		}
		later(time.Hour)
		if got := sender.titles(); len(got) != 1 {
			t.Errorf("got %d messages", len(got))
		}
	})
}

func TestAMessageIsTriedAgainAndStatusWarnsMeanwhile(t *testing.T) {
	withNotifier(t, func(t *testing.T, site *fakeSite, sender *fakeSender, n *notifier) {
		sender.becomes(func(context.Context) error { return errors.New("connection refused") })
		site.happens(falls(1, time.Now()))
		later(6 * time.Second)
		if got := site.warning("notifier oncall"); !strings.Contains(got, "connection refused") {
			t.Errorf("status warns of %q", got)
		}
		later(10 * time.Minute)
		if sender.tries < 10 || sender.tries > 20 {
			t.Errorf("%d tries in ten minutes", sender.tries)
		}
		sender.becomes(nil)
		later(2 * time.Minute)
		if got := sender.titles(); len(got) != 1 {
			t.Errorf("got %q", got)
		}
		if got := site.warning("notifier oncall"); got != "" {
			t.Errorf("status still warns of %q", got)
		}
		if got := n.counters(); got.Delivered != 1 || got.Failures < 10 || got.Dropped != 0 || got.Failing {
			t.Errorf("got %+v", got)
		}
	})
}

func TestAMessageThatIsHistoryIsGivenUp(t *testing.T) {
	withNotifier(t, func(t *testing.T, site *fakeSite, sender *fakeSender, n *notifier) {
		sender.becomes(func(context.Context) error { return errors.New("connection refused") })
		site.happens(falls(1, time.Now()))
		later(maxAge + time.Minute)
		tries := sender.tries
		later(maxAge)
		if sender.tries != tries {
			t.Errorf("it is tried after %s", maxAge)
		}
		if got := n.counters(); got.Dropped != 1 || !got.Failing {
			t.Errorf("got %+v", got)
		}
	})
}

func TestARefusalForGoodIsNotTriedAgain(t *testing.T) {
	withNotifier(t, func(t *testing.T, site *fakeSite, sender *fakeSender, _ *notifier) {
		sender.becomes(func(context.Context) error { return &fault{err: errors.New("404 Not Found"), final: true} })
		site.happens(falls(1, time.Now()))
		later(time.Hour)
		if sender.tries != 1 {
			t.Errorf("%d tries", sender.tries)
		}
		if got := site.warning("notifier oncall"); !strings.Contains(got, "404") {
			t.Errorf("status warns of %q", got)
		}
	})
}

func TestAStuckSenderLosesTheOldestMessagesAndHoldsUpNobody(t *testing.T) {
	withNotifier(t, func(t *testing.T, site *fakeSite, sender *fakeSender, n *notifier) {
		sender.becomes(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		for i := range queueSize + 10 {
			site.happens(falls(i+1, time.Now()))
			later(2 * time.Minute)
		}
		if got := n.counters(); got.Queued != queueSize || got.Dropped != 9 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestAReloadLosesNoEventAndRepeatsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := newFakeSite()
		sites := make(chan *topology.Site)
		options := site.options()
		options.Sites = func(ctx context.Context) iter.Seq[*topology.Site] {
			return func(yield func(*topology.Site) bool) {
				for {
					select {
					case next := <-sites:
						if !yield(next) {
							return
						}
					case <-ctx.Done():
						return
					}
				}
			}
		}
		hub := New(options)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- hub.Run(ctx) }()
		config := testConfig("warning")
		config.Exec = &topology.NotifyExec{Command: []string{"/does/not/exist"}, Timeout: time.Second}
		use := func() *topology.Site { return &topology.Site{Notify: []topology.Notifier{config}} }
		sites <- use()
		synctest.Wait()
		first := hub.running["oncall"]
		sender := &fakeSender{}
		first.sender = sender
		site.happens(falls(1, time.Now()))
		later(time.Minute)
		sites <- use()
		synctest.Wait()
		if hub.running["oncall"] != first {
			t.Error("a notifier that stays as it was is replaced")
		}
		site.happens(falls(2, time.Now()))
		later(time.Second) // it waits for others
		config.GroupWait = time.Second
		sites <- use()
		synctest.Wait()
		second := hub.running["oncall"]
		if second == first {
			t.Fatal("the notifier is not replaced")
		}
		events, _ := second.group, 0
		if events.tally.total != 1 || second.group.events[0].Server != "web2" {
			t.Errorf("the new notifier has %+v", events.tally)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if got := sender.titles(); len(got) != 1 {
			t.Errorf("got %q", got)
		}
	})
}
