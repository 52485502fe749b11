// Package health turns the results of checks into verdicts.
//
// A verdict belongs to a Target: one server, as one VIP sees it. It rises and
// falls by consecutive results, and a failure of the server as a whole brings
// all of its verdicts down at once. The package is pure: no clock, no I/O, no
// goroutine; the senses are in health/probe.
package health

import (
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// A Target is one server as one VIP sees it, or what one member of the VIP's check
// sees, if that is of several.
type Target struct {
	Server topology.ServerName
	VIP    netip.Prefix
	Member topology.CheckName // "" for the verdict that counts
}

// A Verdict is what the checks of a Target say.
type Verdict uint8

const (
	Unknown Verdict = iota // not enough results yet: claims nothing, moves nothing
	Up
	Down
)

// String returns "unknown", "up" or "down".
func (v Verdict) String() string {
	switch v {
	case Unknown:
		return "unknown"
	case Up:
		return "up"
	case Down:
		return "down"
	default:
		panic("health: no such verdict")
	}
}

// News is what the senses report: a Result, a Loss, a Found or a Heard. One channel
// carries all of it, so that its order is kept.
type News interface{ news() }

func (Result) news() {}
func (Loss) news()   {}
func (Found) news()  {}

// A Result is the outcome of one check of one Target.
type Result struct {
	Target  Target
	Started time.Time     // when the check began
	Took    time.Duration // until it was decided
	Failure string        // what went wrong, in an operator's words; "" when it passed
	Notice  string        // of one that passed: what is well and will not stay so, such as a certificate that ends soon
	Said    *Said         // what an agent answered; nil of other checks, and if it did not answer
	Address netip.Addr    // of the server, by which it went; the zero Addr if that is not known
	Hint    string        // what may be behind Failure, of checks on request; "" when there is no telling
	Parts   []Result      // of a check of several, made once: its members'
}

// Failed are the results that failed by this one: of a check of several those of its
// members, if it failed. A member that passed says nothing against other checks it is in.
func (r Result) Failed() []Result {
	switch {
	case r.OK():
		return nil
	case len(r.Parts) == 0:
		return []Result{r}
	default:
		return slices.DeleteFunc(slices.Clone(r.Parts), Result.OK)
	}
}

// OK reports whether the check passed.
func (r Result) OK() bool { return r.Failure == "" }

// A Loss is news that a server address which had answered before is gone: its
// echo is not answered, the link to it is down, or it does not tell its Ethernet
// address any more. It comes once, at the edge.
type Loss struct {
	Server  topology.ServerName
	Address netip.Addr
	At      time.Time // when it was noticed
	Failure string    // "no reply to 3 echoes", "link lan0 is down"
}

// A Found is news that a server address answers echo, for the first time or
// again after a Loss, or that the link to it is back where echo will not tell.
// It comes once, at the edge.
type Found struct {
	Server  topology.ServerName
	Address netip.Addr
	At      time.Time
	ByLink  bool // it is back by another sign than echo, which is off or was never answered
}
