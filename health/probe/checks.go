package probe

import (
	"net/netip"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// A checker makes one kind of check to one address, again and again, in a
// goroutine of its own for each check. One goroutine uses it at a time. It may
// keep a connection between runs. Kinds that are cheaper on the loop are plain.
type checker interface {
	// run makes one check and returns nil when it passed, errCut when the
	// leash broke it off, else a *fault. It ends by its timeout at the latest,
	// and holds its I/O on the leash while it runs.
	run(*leash, aim) error
	// close ends what is kept between runs.
	close()
}

// A remarker is a checker that has more to tell than whether its check passed.
type remarker interface {
	// remark tells of the last run.
	remark() remark
}

// A remark is what a check has to tell besides.
type remark struct {
	notice string       // of one that passed: what is well and will not stay so
	said   *health.Said // of an agent that answered
}

// newSpot makes what checks one address, by the check's kind. Further kinds
// join here.
func (p *Prober) newSpot(plan plan, to netip.Addr) *spot {
	s, check := &spot{loop: p.loop}, plan.check
	switch {
	case check.HTTP != nil && check.HTTP.TLS:
		s.checker = newHTTPSCheck(p.sockets, *check.HTTP, check.Timeout, plan.roots, to)
	case check.HTTP != nil:
		s.plain = &plain{
			loop: p.loop, sockets: p.sockets, fd: -1, port: check.HTTP.Port, timeout: check.Timeout,
			request: renderRequest(*check.HTTP, to), reply: newReply(*check.HTTP),
		}
	case check.TCP != nil:
		s.plain = &plain{loop: p.loop, sockets: p.sockets, fd: -1, port: check.TCP.Port, timeout: check.Timeout}
	case check.TLS != nil:
		s.checker = newTLSCheck(p.sockets, *check.TLS, check.Timeout, plan.roots, to)
	case check.DNS != nil:
		s.checker = newDNSCheck(p.sockets, *check.DNS, check.Timeout)
	case check.GRPC != nil:
		s.checker = newGRPCCheck(p.sockets, *check.GRPC, check.Timeout, plan.roots, to)
	case check.Script != nil:
		s.checker = newScriptCheck(p.launcher, plan)
	case check.Agent != nil:
		s.checker = &agentCheck{sockets: p.sockets, spec: *check.Agent, timeout: check.Timeout}
	case check.ICMP != nil:
		s.checker = &icmpCheck{pinger: p.pinger, timeout: check.Timeout}
	default:
		panic("probe: a check without a kind: " + string(check.Name))
	}
	return s
}

// watchPort is the TCP port that a watch on the check's service connects to.
func watchPort(check topology.Check) (port uint16, ok bool) {
	switch {
	case !check.Watch:
		return 0, false
	case check.HTTP != nil:
		return check.HTTP.Port, true
	case check.TCP != nil:
		return check.TCP.Port, true
	case check.TLS != nil:
		return check.TLS.Port, true
	case check.GRPC != nil:
		return check.GRPC.Port, true
	default:
		return 0, false
	}
}
