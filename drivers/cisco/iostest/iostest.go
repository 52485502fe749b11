// Package iostest is a router's command line for tests: an SSH server whose
// routes are state, whose errors are those of the real thing, and which can
// be as awkward as any router in the field.
//
// It knows four dialects ("ios", "nxos", "eos", "iosxr"). Whatever real
// routers do is the default; whatever makes them hard to drive is a switch in
// Faults. It never opens a socket, and lives inside a testing/synctest bubble:
//
//	r := iostest.New(iostest.Options{Dialect: "ios"})
//	defer r.Close()
//	conn, err := r.Dial(ctx)
//
// Used wrongly (an unknown dialect, a line of Set that the router refuses) it
// panics, because a test that goes on would test nothing.
package iostest

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Options say what router it is. Only Dialect is needed.
type Options struct {
	Dialect  string // "ios", "nxos", "eos" or "iosxr"
	Hostname string // default "R1"

	// Prompt stands in exec mode instead of the hostname (IOS: prompt …). With
	// PromptInConfig it does so in configuration mode too.
	Prompt         string
	PromptInConfig bool
	PromptLimit    int  // characters of a prompt of configuration mode; 0: the dialect's, -1: no limit
	OtherSpace     bool // the prompt ends in a space where the dialect's has none, and the other way round

	User     string        // default "admin"
	Password string        // of SSH; default "cisco" if there is no Key
	Key      ssh.PublicKey // accepted beside the password
	Enable   string        // enable secret; if empty, sessions start privileged unless UserMode is set
	UserMode bool          // sessions start at ">", and enable asks only if there is a secret

	Banner string // before authentication (RFC 4252 section 5.4)
	MOTD   string // after it, in the channel

	VRFs     []string     // that exist beside the global table
	Own      []netip.Addr // addresses of the router: refused as next hops
	Order    []string     // of options in the running configuration; default the dialect's
	Padding  int          // lines of other configuration before the routes
	Stamps   bool         // IOS: "Load for five secs …" before the output of show
	NoDate   bool         // XR: no date line before the output of show
	Narrow   bool         // 80 columns until terminal width, whatever the PTY asked for: long lines scroll, with $ and backspaces
	NoEcho   bool         // nothing typed is ever echoed
	Pager    int          // lines of a page until terminal length; default 24, -1: no pager
	Distinct bool         // a second distance for a next hop is a second route, not a replacement
	LooseNo  bool         // options behind "no …" need not be those of the route
	NoNeeds  bool         // "no …" without a next hop is incomplete (NX-OS: always)

	Faults
}

// A Router is the fake router. Its methods may be called by several
// goroutines at once.
type Router struct {
	opts Options
	d    *dialect
	wg   sync.WaitGroup

	mu       sync.Mutex
	faults   Faults
	hostKey  ssh.Signer
	keySeed  byte
	closed   bool
	conns    map[net.Conn]bool
	sessions map[*session]bool
	total    int // sessions ever
	log      []Line
	routes   []*route
	vrfs     []string
	version  int // commits so far
	startup  []string
	history  map[where][]State
	delayed  []*time.Timer
}

// New returns a router with an empty table. It panics if the options are
// wrong.
func New(o Options) *Router {
	d := dialectOf(o.Dialect)
	fill(&o, d)
	r := &Router{
		opts: o, d: d, faults: o.Faults,
		conns: map[net.Conn]bool{}, sessions: map[*session]bool{},
		vrfs: slices.Clone(o.VRFs), history: map[where][]State{},
	}
	r.hostKey = newHostKey(o.Legacy, r.keySeed)
	return r
}

// fill sets the defaults.
func fill(o *Options, d *dialect) {
	if o.Hostname == "" {
		o.Hostname = "R1"
	}
	if o.User == "" {
		o.User = "admin"
	}
	if o.Password == "" && o.Key == nil {
		o.Password = "cisco"
	}
	if o.Pager == 0 {
		o.Pager = 24
	}
	if o.PromptLimit == 0 {
		o.PromptLimit = d.promptLimit
	}
	if len(o.Order) == 0 {
		o.Order = d.order
	}
	if o.Enable != "" {
		o.UserMode = true
	}
}

// Dial returns the client's end of a pipe whose other end is served until it
// is closed.
func (r *Router) Dial(ctx context.Context) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	if !r.begin() {
		return nil, errors.New("connection refused: the router is closed")
	}
	go func() {
		defer r.wg.Done()
		r.serve(ours)
	}()
	return theirs, nil
}

// Serve speaks SSH on conn until either side closes it.
func (r *Router) Serve(conn net.Conn) {
	if !r.begin() {
		conn.Close()
		return
	}
	defer r.wg.Done()
	r.serve(conn)
}

// begin counts a connection, unless the router is closed.
func (r *Router) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.wg.Add(1)
	return true
}

// Close ends all connections and waits for their goroutines.
func (r *Router) Close() {
	r.mu.Lock()
	r.closed = true
	for conn := range r.conns {
		conn.Close()
	}
	for _, timer := range r.delayed {
		timer.Stop()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// HostKey is the key the router proves itself with.
func (r *Router) HostKey() ssh.PublicKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hostKey.PublicKey()
}

// ChangeHostKey gives the router another host key, as a replaced device has.
func (r *Router) ChangeHostKey() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keySeed++
	r.hostKey = newHostKey(r.faults.Legacy, r.keySeed)
}

// Sessions tells how many shells are open now, and how many ever were.
func (r *Router) Sessions() (open, total int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sessions), r.total
}
