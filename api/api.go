// Package api is what an operator can ask of a running controller, and the
// answers. The controller implements Operator; internal/control carries it
// over a Unix socket, and package client implements it again on the other side,
// so that a command cannot tell the two apart.
//
// Every type here is the JSON that -o json prints: names are stable, times are
// RFC 3339, durations are Go duration strings or carry their unit in the name.
package api

import (
	"context"
	"iter"
	"slices"
	"time"
)

// An Operator is the operator's side of a controller. Its methods may be
// called by several goroutines at once and return an *Error for what the
// operator can mend.
type Operator interface {
	// Status returns the state of the site, as of now.
	Status(ctx context.Context) (*Status, error)
	// Plan returns what the controller would change now on each router, from a
	// fresh look, and changes nothing.
	Plan(ctx context.Context) (*Plan, error)
	// Drain takes servers out of service, or off some VIPs: it proves that others can
	// carry their VIPs, makes the intent durable, and returns when every router has
	// confirmed the moves, or the request's time is over.
	Drain(ctx context.Context, request DrainRequest) (*Moved, error)
	// Undrain puts servers back in service. Traffic returns by the failback policy.
	Undrain(ctx context.Context, request UndrainRequest) (*Moved, error)
	// Pin sends a VIP to one server for as long as that can carry it, durably.
	Pin(ctx context.Context, request PinRequest) (*Moved, error)
	// Unpin ends a pin. Traffic returns by the failback policy.
	Unpin(ctx context.Context, request UnpinRequest) (*Moved, error)
	// Failback sends traffic back to better servers that are well, without waiting
	// for what the failback policy waits for.
	Failback(ctx context.Context, request FailbackRequest) (*Moved, error)
	// Resume lets failures move traffic that came together until now, and were
	// therefore not believed.
	Resume(ctx context.Context, request ResumeRequest) (*Moved, error)
	// Check probes a server's VIPs once, now; "" probes all servers.
	Check(ctx context.Context, server string) ([]CheckResult, error)
	// Transitions returns the moves of VIPs whose connections are still ending,
	// and of each VIP how its last one ended; with a server only those that leave,
	// or left, connections there.
	Transitions(ctx context.Context, server string) ([]Transition, error)
	// Explain tells the whole story of one VIP: word is its prefix, an address in
	// it, or its name.
	Explain(ctx context.Context, word string) (*Explanation, error)
	// Simulate tells what would become of the site, as it is now, by steps that
	// nobody takes. Nothing changes.
	Simulate(ctx context.Context, request SimulateRequest) (*Simulation, error)
	// Reload reads the configuration again. A bad file changes nothing.
	Reload(ctx context.Context, request ReloadRequest) (*Reloaded, error)
	// Events yields the events that the request asks for, oldest first, and with
	// Follow goes on with new ones until ctx ends.
	Events(ctx context.Context, request EventsRequest) iter.Seq2[Event, error]
}

// A DrainRequest asks to take servers out of service. Of servers that are drained
// already, a reason or an end that is given replaces the former.
type DrainRequest struct {
	Servers []string `json:"servers"`
	VIPs    []string `json:"vips,omitempty"` // only off these: names, prefixes or addresses; none for all
	Reason  string   `json:"reason,omitempty"`

	Until       time.Time `json:"until,omitzero"`         // undrain by itself then
	UntilReboot bool      `json:"until_reboot,omitempty"` // undrain by itself once the server went down and is well again

	Force bool   `json:"force,omitempty"` // even if a VIP is left without an eligible server
	Cut   bool   `json:"cut,omitempty"`   // once it is confirmed, end connections that are left, instead of letting them end
	By    string `json:"-"`               // who asks; the server fills it from the peer's credentials

	// TimeoutMs bounds the wait for routers to confirm, in milliseconds; 0 means
	// 30,000. When it is over the intent stays, and Moved says who has not
	// confirmed.
	TimeoutMs int64 `json:"timeout_ms,omitempty"`
}

// An UndrainRequest asks to put servers back in service.
type UndrainRequest struct {
	Servers   []string `json:"servers"`
	VIPs      []string `json:"vips,omitempty"` // only onto these
	By        string   `json:"-"`
	TimeoutMs int64    `json:"timeout_ms,omitempty"` // as in DrainRequest
}

// A PinRequest asks to send a VIP to one server.
type PinRequest struct {
	VIP       string    `json:"vip"` // a name, a prefix or an address
	Server    string    `json:"server"`
	Reason    string    `json:"reason,omitempty"`
	Until     time.Time `json:"until,omitzero"`  // unpin by itself then
	Force     bool      `json:"force,omitempty"` // though it is down, and whatever becomes of it
	By        string    `json:"-"`
	TimeoutMs int64     `json:"timeout_ms,omitempty"` // as in DrainRequest
}

// An UnpinRequest asks to end a pin.
type UnpinRequest struct {
	VIP       string `json:"vip"`
	By        string `json:"-"`
	TimeoutMs int64  `json:"timeout_ms,omitempty"` // as in DrainRequest
}

// A FailbackRequest asks for traffic to return to better servers.
type FailbackRequest struct {
	Of        []string `json:"of,omitempty"` // VIPs or servers; none for all
	By        string   `json:"-"`
	TimeoutMs int64    `json:"timeout_ms,omitempty"` // as in DrainRequest
}

// A ResumeRequest asks to act on failures that came together.
type ResumeRequest struct {
	By        string `json:"-"`
	TimeoutMs int64  `json:"timeout_ms,omitempty"` // as in DrainRequest
}

// A ReloadRequest asks to read the configuration again.
type ReloadRequest struct {
	By string `json:"-"`
}

// Moved says what became of an operator's wish.
type Moved struct {
	Did       string   `json:"did"`               // the wish: "drain", "undrain", "pin", "unpin", "failback" or "resume"
	Servers   []string `json:"servers,omitempty"` // that it was about
	Of        []string `json:"of,omitempty"`      // VIPs that it was about, if not all of Servers
	Unchanged bool     `json:"unchanged"`         // it was so already
	VIPs      []Move   `json:"vips"`              // the VIPs whose traffic the wish concerned; never null
	Routers   []Router `json:"routers"`           // what each router confirmed; never null
	Confirmed bool     `json:"confirmed"`         // every router has
	Cut       []string `json:"cut"`               // routers that could not keep connections where they were, and why; never null
}

// A Move says where one VIP's traffic went.
type Move struct {
	VIP    string   `json:"vip"`            // the first, if several
	VIPs   int      `json:"vips,omitempty"` // how many, if several
	Name   string   `json:"name,omitempty"`
	From   []string `json:"from"` // servers, never null
	To     []string `json:"to"`   // servers, never null; the same as From if nothing moved
	Reason string   `json:"reason"`
}

// Status is the state of the site.
type Status struct {
	Version string    `json:"version"`
	Time    time.Time `json:"time"`
	Started time.Time `json:"started"`
	Config  Config    `json:"config"`
	Servers []Server  `json:"servers"`
	VIPs    []VIP     `json:"vips"`
	Routers []Router  `json:"routers"`
	// Transitions are the moves whose connections are still ending; never null.
	Transitions []Transition `json:"transitions"`
	Frozen      string       `json:"frozen,omitempty"` // why failure-driven moves are withheld; "" when they are not
	Warnings    []string     `json:"warnings"`         // what an operator should look at, most urgent first; never null
}

// Config says which configuration runs.
type Config struct {
	File     string    `json:"file"`
	Hash     string    `json:"hash"` // of its text: the first 16 hexadecimal digits of the SHA-256 sum
	Loaded   time.Time `json:"loaded"`
	Failed   time.Time `json:"failed,omitzero"` // last reload that was refused, if it is newer than Loaded
	Problems []string  `json:"problems"`        // why it was; never null
}

// A Server is one server's state.
type Server struct {
	Name      string    `json:"name"`
	Addresses []string  `json:"addresses"`
	Weight    int       `json:"weight"`
	Health    string    `json:"health"`         // "up", "down", "unknown", or "mixed" when its VIPs differ
	Since     time.Time `json:"since,omitzero"` // of Health
	Why       string    `json:"why,omitempty"`  // the last failure, while not up
	Echo      string    `json:"echo"`           // "answers", "lost", "never answered", "filtered" (checks pass without it), "off"
	Admin     Admin     `json:"admin"`
	Serving   []string  `json:"serving"` // the VIPs whose traffic it is wanted to get; never null
	Targets   []Target  `json:"targets"` // one for each VIP it may carry; one for all VIPs that are judged alike
}

// Admin is what an operator, or the file, said of a server.
type Admin struct {
	State  string    `json:"state"` // "ready", "drain" or "maintenance"
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"`   // it ends by itself then
	Reboot string    `json:"reboot,omitempty"` // "awaited", or "seen" when it has gone down: it ends by itself once it is well again
}

// An Off is a server that was drained of one VIP only.
type Off struct {
	Server string `json:"server"`
	Admin
}

// A Pin is an operator's word that a VIP is to be at one server.
type Pin struct {
	Server string    `json:"server"`
	Force  bool      `json:"force,omitempty"` // whatever becomes of the server
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"` // it ends by itself then
	Void   string    `json:"void,omitempty"` // why the VIP is not there
}

// A Target is one server as one VIP sees it, or several that are judged alike.
type Target struct {
	VIP       string    `json:"vip"`            // the first of them
	VIPs      int       `json:"vips,omitempty"` // how many, if several
	Check     string    `json:"check"`
	Health    string    `json:"health"`            // "up", "down", "unknown"
	Trend     string    `json:"trend,omitempty"`   // "rising 1/2", "falling 2/3"; "" when settled
	Since     time.Time `json:"since,omitzero"`    // of Health
	Why       string    `json:"why,omitempty"`     // the last failure, while not up or falling
	Members   []Member  `json:"members,omitempty"` // of a check of several
	Word      *Word     `json:"word,omitempty"`    // what the server asks for itself, by an agent check
	Notice    string    `json:"notice,omitempty"`  // what is well and will not stay so: a certificate that ends soon
	LastCheck time.Time `json:"last_check,omitzero"`
	TookMs    float64   `json:"took_ms,omitempty"` // the last check
	Rise      int       `json:"rise"`              // successes needed now, flap damping included
	Damping   int       `json:"damping,omitempty"` // how many times as many as usual that is, because it flapped; 0 for as usual
	UpAt      time.Time `json:"up_at,omitzero"`    // of one that is down: when it would be trusted again, if checks passed from now on
}

// A Member is one check of a check of several, of one server.
type Member struct {
	Check  string    `json:"check"`
	Health string    `json:"health"` // "up", "down", "unknown"
	Trend  string    `json:"trend,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Why    string    `json:"why,omitempty"`
}

// A Word is what a server asks for itself, by an agent check.
type Word struct {
	Leave   bool   `json:"leave,omitempty"`   // to get no new traffic
	Percent int    `json:"percent,omitempty"` // of its weight, 1 to 100
	Text    string `json:"text,omitempty"`    // why
}

// A VIP is the state of one VIP, or of several that one entry of the file
// lists: where its traffic is wanted, and where each router sends it.
type VIP struct {
	Prefix    string    `json:"prefix"`              // the first of Prefixes
	Prefixes  []string  `json:"prefixes,omitempty"`  // all of the entry, if several
	MovesAs   string    `json:"moves_as,omitempty"`  // the VIP that stands for all that always move together with it, if not Prefix
	JudgedAs  string    `json:"judged_as,omitempty"` // the VIP of the Targets that judge it, if not Prefix
	Name      string    `json:"name,omitempty"`
	Addresses []string  `json:"addresses"`
	Check     string    `json:"check"`
	Mode      string    `json:"mode"`
	Tiers     []Tier    `json:"tiers"`
	Wanted    []string  `json:"wanted"`         // servers; never null
	Why       string    `json:"why"`            // the reason for Wanted
	Cause     string    `json:"cause"`          // its kind: "settled", "failover", "drained", "failback", "waiting", "kept", …
	Since     time.Time `json:"since,omitzero"` // of Wanted
	Next      time.Time `json:"next,omitzero"`  // when a failback that waits is due
	Eligible  []string  `json:"eligible"`       // servers up and ready; never null
	Routes    []Route   `json:"routes"`         // one for each router, or more where Prefixes differ; never null
	InSync    bool      `json:"in_sync"`        // every router does as wanted
	Held      bool      `json:"held,omitempty"` // a failure calls for a move, and a guard holds it back: Why
	Pin       *Pin      `json:"pin,omitempty"`
	Off       []Off     `json:"off,omitempty"` // servers drained of this VIP only
}

// A Tier is servers of equal rank.
type Tier struct {
	Name    string   `json:"name"`
	Servers []string `json:"servers"`
}

// A Route is where one router sends one VIP, as last read from it.
type Route struct {
	Router   string   `json:"router"`
	Servers  []string `json:"servers"`   // known servers among the next hops; never null
	NextHops []string `json:"next_hops"` // never null; empty without a route
	Foreign  bool     `json:"foreign"`   // not ours: left alone
	Detail   string   `json:"detail,omitempty"`
	Prefixes int      `json:"prefixes,omitempty"` // for how many of the VIP's, if not for all
}

// A Router is one router's state.
type Router struct {
	Name       string    `json:"name"`
	Driver     string    `json:"driver"`
	InSync     bool      `json:"in_sync"`              // it was read back and is as wanted
	Looked     bool      `json:"looked"`               // its routes have been read since the start
	LastLook   time.Time `json:"last_look,omitzero"`   // its routes were last read
	LastChange time.Time `json:"last_change,omitzero"` // we last changed it
	Routes     int       `json:"routes"`               // of ours
	Changes    uint64    `json:"changes"`              // made since the start
	Repairs    uint64    `json:"repairs"`              // of them, drift put right
	Foreign    []string  `json:"foreign"`              // foreign routes in the way; never null
	Fighting   []string  `json:"fighting"`             // prefixes left alone, because another program changes them again and again; never null
	Sessions   []Session `json:"sessions"`             // through which it is steered; never null
	Problems   []string  `json:"problems"`             // what else an operator should look at; never null
	Error      string    `json:"error,omitempty"`      // what keeps it out of sync
	Cuts       string    `json:"cuts,omitempty"`       // why planned moves cut connections; "" when they do not, as far as is known
	Retry      time.Time `json:"retry,omitzero"`       // when it is tried again
}

// A Session is a connection through which a router is steered.
type Session struct {
	Peer   string    `json:"peer"`
	State  string    `json:"state"`            // in the protocol's word
	Well   bool      `json:"well"`             // the state is as it should be
	Since  time.Time `json:"since,omitzero"`   // of State
	Detail string    `json:"detail,omitempty"` // what was agreed on, or the last error
}

// A Transition is a planned move of one VIP on one router, from the moment
// that new connections go elsewhere until those that existed have ended.
type Transition struct {
	Router   string    `json:"router"`
	VIP      string    `json:"vip"`
	Name     string    `json:"name,omitempty"`
	From     []string  `json:"from"`               // servers, never null
	To       []string  `json:"to"`                 // servers, never null
	State    string    `json:"state"`              // Ending, or how it ended: "idle", "timed out", "forced"
	Left     []Left    `json:"left"`               // connections that are elsewhere than at To; never null
	Since    time.Time `json:"since"`              // its last move began
	IdleAt   time.Time `json:"idle_at"`            // it ends then, or later, if no connection is left: until then silent ones may be there
	Until    time.Time `json:"until"`              // it ends, whoever is left
	Ended    time.Time `json:"ended,omitzero"`     // it has
	Prefixes int       `json:"prefixes"`           // how many of the VIP's do alike
	Overflow uint64    `json:"overflow,omitempty"` // connections past the router's limit: they may have been cut
}

// Ending is the State of a Transition that is under way.
const Ending = "ending"

// Left are connections at servers that new ones do not go to.
type Left struct {
	Servers     []string `json:"servers"` // never null
	Connections int      `json:"connections"`
}

// AddLeft adds connections at servers.
func (t *Transition) AddLeft(servers []string, connections int) {
	at := slices.IndexFunc(t.Left, func(l Left) bool { return slices.Equal(l.Servers, servers) })
	if at < 0 {
		at = len(t.Left)
		t.Left = append(t.Left, Left{Servers: servers})
	}
	t.Left[at].Connections += connections
}

// Concerns reports whether the move leaves, or left, connections at a server.
func (t Transition) Concerns(server string) bool {
	return slices.Contains(t.From, server) || slices.ContainsFunc(t.Left, func(l Left) bool { return slices.Contains(l.Servers, server) })
}

// Connections counts those that are left.
func (t Transition) Connections() int {
	count := 0
	for _, left := range t.Left {
		count += left.Connections
	}
	return count
}

// A Plan is what would change now.
type Plan struct {
	Changes  []Change `json:"changes"`  // never null
	Foreign  []string `json:"foreign"`  // routes in the way that are left alone; never null
	Commands []string `json:"commands"` // what the drivers would do, in their own words; never null
}

// A Change is one change on one router.
type Change struct {
	Router   string   `json:"router"`
	Op       string   `json:"op"`                 // "add", "replace", "remove"
	Prefix   string   `json:"prefix"`             // the first
	Prefixes int      `json:"prefixes,omitempty"` // how many change alike, if several
	From     []string `json:"from"`               // next hops; never null
	To       []string `json:"to"`                 // next hops; never null
	Reason   string   `json:"reason"`

	// HeldUntil is when there is room again for moves that failures make (change_limit),
	// of which this is one that waits; zero for what is made at once.
	HeldUntil time.Time `json:"held_until,omitzero"`
}

// A CheckResult is the outcome of one check done on request.
type CheckResult struct {
	Server  string  `json:"server"`
	VIP     string  `json:"vip"`
	Check   string  `json:"check"`
	OK      bool    `json:"ok"`
	Failure string  `json:"failure,omitempty"`
	Hint    string  `json:"hint,omitempty"` // what may be behind Failure: a VIP that its server's loopback lacks
	TookMs  float64 `json:"took_ms"`
}

// Reloaded says what a reload did.
type Reloaded struct {
	File    string   `json:"file"`
	Changes []string `json:"changes"` // what is different, in words; never null
}

// ErrorCode tells kinds of Error apart.
type ErrorCode string

const (
	BadRequest ErrorCode = "bad_request"

	Unauthorized ErrorCode = "unauthorized" // no token, or a wrong one
	Forbidden    ErrorCode = "forbidden"    // the token, or the way it came, is not good for this
	TooMany      ErrorCode = "too_many"     // requests; the Retry-After header says when to come again

	NotFound    ErrorCode = "not_found"   // no such server or VIP; Details lists the known ones
	Refused     ErrorCode = "refused"     // it would leave a VIP without a server; Details lists them
	BadConfig   ErrorCode = "bad_config"  // the file has problems; Details lists them
	Unconfirmed ErrorCode = "unconfirmed" // accepted, but not every router has confirmed
	Unavailable ErrorCode = "unavailable" // the controller cannot do this now; nothing changed
	Internal    ErrorCode = "internal"
)

// An Error is a refusal or failure that an operator can act on.
type Error struct {
	Code    ErrorCode `json:"code"`
	Message string    `json:"message"`
	Details []string  `json:"details,omitempty"`
	Hint    string    `json:"hint,omitempty"` // what to try
}

func (e *Error) Error() string {
	text := e.Message
	for _, detail := range e.Details {
		text += "\n  " + detail
	}
	if e.Hint != "" {
		text += "\n" + e.Hint
	}
	return text
}
