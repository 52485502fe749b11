// Package drivers is the contract between routesteer and the routers it
// steers. Each router is driven by one Driver; the packages below implement
// it, and drivers/drivertest is the exam that each of them sits.
package drivers

import (
	"context"
	"io"
	"net/netip"
	"time"

	"github.com/routesteer/routesteer/steer"
)

// A Driver holds our routes on one router. One goroutine uses it at a time; it
// knows nothing of health or policy and keeps no memory that the router can
// keep for it.
//
// Every driver promises:
//
//   - Make before break: a change of next hop leaves no moment without a route.
//   - Ownership: our routes carry our mark on the router; a route without it is
//     Foreign, is reported, and is never changed, unless the Change says Adopt.
//   - Idempotence: applying a change that is already true is no error and no
//     harm; a half-done plan converges on the next pass.
//   - A refused change does not stop the others.
//   - Deadlines: every call ends soon after ctx does.
//   - Fail-static: Close leaves the routes in place.
type Driver interface {
	// Routes returns the routes for the site's prefixes as the router has them
	// now, never from a cache, sorted as steer.SortRoutes sorts. A prefix without
	// a route is absent; a prefix may have a route of ours and foreign ones.
	Routes(ctx context.Context) ([]steer.Route, error)
	// Apply makes the changes in order and returns for how many prefixes they took
	// effect. err joins *ChangeErrors for the prefixes for which one did not, or
	// says why Apply had to stop. The caller reads the routes back; Apply need not.
	Apply(ctx context.Context, changes []steer.Change) (n int, err error)
	io.Closer
}

// A Renderer is a Driver that can say, in the router's own words, what Apply
// would do.
type Renderer interface {
	// Render returns the commands or messages for the changes, in order.
	Render(changes []steer.Change) []string
}

// A Watcher is a Driver that notices when the router's table changes behind
// our back.
type Watcher interface {
	// Changed returns a channel that receives after anything that may concern our
	// prefixes has changed; several changes may give one receive. It is never
	// closed while the driver is open. A receive means only: look again.
	Changed() <-chan struct{}
}

// A Drainer is a Driver that can leave established connections where they are
// when it makes a Change that is Graceful: new ones go to its To, those that
// exist stay at its From until they end, or the transition does. The router
// keeps what is needed for that, also while no controller runs. Used by the
// goroutine that uses the Driver.
type Drainer interface {
	// Transitions returns the moves whose connections are still ending, sorted by
	// prefix.
	Transitions(ctx context.Context) ([]steer.Transition, error)
	// Release gives up connections of prefixes in transition at addresses that are
	// lost: they go where the route goes, whose server resets them.
	Release(ctx context.Context, lost map[netip.Prefix][]netip.Addr) error
	// End ends transitions: connections that are left go where the route goes.
	End(ctx context.Context, prefixes []netip.Prefix) error
	// Cuts says why a Graceful Change would cut connections, or has; nil when it
	// keeps them.
	Cuts() error
}

// A Witness is a Watcher that can tell what the router does by itself from what
// another program does.
type Witness interface {
	// Shaken reports, once, whether since it was asked last a link or an address
	// has gone that our routes used: the router itself takes routes away then.
	Shaken() bool
}

// An Informer is a Driver that has more to tell operators than its routes.
type Informer interface {
	// Info returns what is known now, without asking the router. Used by the
	// goroutine that uses the Driver, also after a call that failed.
	Info() Info
}

// Info is what a driver knows about its router, for people.
type Info struct {
	Sessions []Session // with the router, or its peers; sorted by peer
	Problems []string  // what an operator should look at though routes are as wanted
	Down     error     // why routes that are as wanted do not reach the router; nil if they do
}

// A Session is a connection through which a router is steered.
type Session struct {
	Peer   string    // address, or name and address
	State  string    // in the protocol's word: "established", "idle"
	Well   bool      // the state is as it should be
	Since  time.Time // of the state; zero if not known
	Detail string    // what was agreed on, or the last error, in the peer's words
}

// A ChangeError says why a change did not take effect for some of its prefixes.
type ChangeError struct {
	Change steer.Change // narrowed to those prefixes
	Err    error
}

func (e *ChangeError) Error() string { return e.Change.String() + ": " + e.Err.Error() }

func (e *ChangeError) Unwrap() error { return e.Err }
