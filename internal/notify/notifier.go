package notify

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

const (
	// queueSize is how many messages of a notifier may wait; then the oldest is dropped.
	queueSize = 64
	// firstRetry is the pause after a failure, which doubles up to lastRetry.
	firstRetry = time.Second
	lastRetry  = time.Minute
	// maxAge is how long a message is tried: later it would be history, which is in the
	// journal.
	maxAge = time.Hour
)

// A notifier tells of events in one way.
type notifier struct {
	config  topology.Notifier
	options Options
	sender  sender
	after   time.Time
	cancel  context.CancelFunc
	ended   sync.WaitGroup
	wake    chan struct{} // has room for one: there is something in queue

	group group // the collector's

	mu     sync.Mutex
	queue  []Message
	done   uint64 // the last event that was delivered, or given up
	counts api.NotifierTally
}

func newNotifier(config topology.Notifier, host string, options Options) *notifier {
	return &notifier{
		config: config, options: options, sender: newSender(config), after: options.After,
		wake: make(chan struct{}, 1), group: newGroup(config, host),
	}
}

// succeed begins where a notifier of the same name, which has ended, left off.
func (n *notifier) succeed(former *notifier) {
	n.done, n.group.told, n.group.sent = former.done, former.group.told, former.group.sent
}

func (n *notifier) start(ctx context.Context) {
	ctx, n.cancel = context.WithCancel(ctx)
	events := make(chan api.Event)
	n.ended.Go(func() { n.follow(ctx, events) })
	n.ended.Go(func() { n.collect(ctx, events) })
	n.ended.Go(func() { n.deliver(ctx) })
}

func (n *notifier) stop() {
	n.cancel()
	n.ended.Wait()
}

// follow reads the events that the notifier may tell of.
func (n *notifier) follow(ctx context.Context, events chan<- api.Event) {
	request := api.EventsRequest{
		Since: n.done, After: n.after, VIPs: n.config.On.VIPs, Kinds: n.config.On.Kinds, Follow: true,
	}
	for _, server := range n.config.On.Servers {
		request.Servers = append(request.Servers, string(server))
	}
	if !n.config.On.Resolved {
		request.Severity = n.config.On.Severity
	}
	for event, err := range n.options.Operator.Events(ctx, request) {
		if err != nil {
			n.options.Log.Warn("events cannot be followed; this notifier tells nothing until the next reload", "notifier", n.config.Name, "err", err)
			return
		}
		select {
		case events <- event:
		case <-ctx.Done():
			return
		}
	}
}

// collect makes messages of events.
func (n *notifier) collect(ctx context.Context, events <-chan api.Event) {
	for {
		var due <-chan time.Time
		if at, waits := n.group.due(); waits {
			due = time.After(time.Until(at))
		}
		select {
		case <-ctx.Done():
			return
		case event := <-events:
			n.group.add(event, time.Now())
		case <-due:
			n.put(n.group.message(time.Now()))
		}
	}
}

// put queues a message. It never waits.
func (n *notifier) put(message Message) {
	n.mu.Lock()
	if len(n.queue) == queueSize {
		n.queue = n.queue[1:]
		n.counts.Dropped++
	}
	n.queue = append(n.queue, message)
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// take takes the oldest message, if there is one.
func (n *notifier) take() (Message, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.queue) == 0 {
		return Message{}, false
	}
	message := n.queue[0]
	n.queue = n.queue[1:]
	return message, true
}

// deliver sends what is queued.
func (n *notifier) deliver(ctx context.Context) {
	for {
		message, any := n.take()
		if any {
			n.send(ctx, message)
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		}
	}
}

// send sends one message, again and again until it is delivered, refused for good,
// too old, or ctx is done.
func (n *notifier) send(ctx context.Context, message Message) {
	pause := firstRetry
	for ctx.Err() == nil {
		err := n.sender.send(ctx, message)
		if ctx.Err() != nil {
			return
		}
		n.judge(ctx, message, err)
		if err == nil {
			return
		}
		fault := asFault(err)
		wait := max(pause, fault.after)
		if fault.final || time.Since(message.Time)+wait > maxAge {
			n.giveUp(message)
			return
		}
		pause = min(2*pause, lastRetry)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// judge takes in what became of a try, and tells if that is news.
func (n *notifier) judge(ctx context.Context, message Message, err error) {
	n.mu.Lock()
	was := n.counts.Failing
	n.counts.Failing = err != nil
	if err == nil {
		n.counts.Delivered++
		n.done = message.last
	} else {
		n.counts.Failures++
	}
	n.mu.Unlock()
	switch {
	case err != nil && !was:
		n.options.Log.Warn("a message could not be delivered", "notifier", n.config.Name, "message", message.Title, "err", err)
		n.warn(ctx, fmt.Sprintf("messages are not delivered since %s: %v", time.Now().Format(time.TimeOnly), err))
	case err == nil && was:
		n.options.Log.Info("messages are delivered again", "notifier", n.config.Name)
		n.calm(ctx)
	}
}

func (n *notifier) giveUp(message Message) {
	n.mu.Lock()
	n.counts.Dropped++
	n.done = message.last
	n.mu.Unlock()
	n.options.Log.Warn("a message is given up", "notifier", n.config.Name, "message", message.Title)
}

// calm ends the warning of this notifier.
func (n *notifier) calm(ctx context.Context) { n.warn(ctx, "") }

func (n *notifier) warn(ctx context.Context, text string) {
	if err := n.options.Warn(ctx, "notifier "+n.config.Name, text); err != nil && ctx.Err() == nil {
		n.options.Log.Warn("status cannot be told of a notifier", "notifier", n.config.Name, "text", text, "err", err)
	}
}

func (n *notifier) counters() api.NotifierTally {
	n.mu.Lock()
	defer n.mu.Unlock()
	counts := n.counts
	counts.Name, counts.Queued = n.config.Name, len(n.queue)
	return counts
}
