package notify

import (
	"context"
	"errors"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// A sender delivers a message in one way. Its errors never hold a secret, nor a URL.
type sender interface {
	// send tries once. An error may be a fault.
	send(ctx context.Context, message Message) error
}

func newSender(config topology.Notifier) sender {
	switch {
	case config.Exec != nil:
		return starter{*config.Exec}
	case config.Webhook != nil:
		return webhook{*config.Webhook}
	case config.Email != nil:
		return email{*config.Email}
	default:
		panic("notify: a notifier without a way to tell: " + config.Name)
	}
}

// Send sends a message once, as the notifier's configuration says.
func Send(ctx context.Context, config topology.Notifier, message Message) error {
	return newSender(config).send(ctx, message)
}

// A fault is why a message was not delivered, and what follows from that.
type fault struct {
	err   error
	final bool          // another try would end the same
	after time.Duration // another try makes sense then
}

func (f *fault) Error() string { return f.err.Error() }

func (f *fault) Unwrap() error { return f.err }

func asFault(err error) fault {
	if f := (*fault)(nil); errors.As(err, &f) {
		return *f
	}
	return fault{err: err}
}
