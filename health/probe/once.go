package probe

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// maxAtOnce is how many targets Check checks at the same time: ten thousand of which
// each takes two timeouts are done within the minute that a command waits.
const maxAtOnce = 256

// Check checks the targets once, now, and returns results in their order. It
// uses connections of its own and sends no news. Where a VIP is silent, the
// server's own address is checked too, and the result has a Hint. When ctx ends
// first, what is not done fails and says so.
func (p *Prober) Check(ctx context.Context, targets []health.Target) []health.Result {
	results := make([]health.Result, len(targets))
	slots := make(chan struct{}, maxAtOnce)
	var all sync.WaitGroup
	for i, key := range targets {
		slots <- struct{}{}
		all.Go(func() {
			results[i] = p.checkOnce(ctx, key)
			<-slots
		})
	}
	all.Wait()
	return results
}

func (p *Prober) checkOnce(ctx context.Context, key health.Target) health.Result {
	p.mu.RLock()
	t := p.targets[key]
	if t != nil {
		p.checks.Add(1) // before Close can wait: it takes the targets away first
	}
	p.mu.RUnlock()
	if t == nil {
		return health.Result{Target: key, Started: time.Now(), Failure: "not checked: no such target"}
	}
	defer p.checks.Done()
	result, heard := p.once(ctx, t.plan, t.used())
	if heard == silence && t.check.Through == topology.ThroughVIP {
		result.Hint = p.hint(ctx, t.plan, t.used())
	}
	return result
}

// hint asks the server's own address what its VIP did not answer.
func (p *Prober) hint(ctx context.Context, plan plan, inUse netip.Addr) string {
	plan.check.Through = topology.ThroughAddress
	if own, _ := p.once(ctx, plan, inUse); !own.OK() {
		return ""
	}
	return "it answers at its own address: no loopback alias?"
}

// once makes one round, beside the target's own checks, and tells what was heard
// of the server.
func (p *Prober) once(ctx context.Context, plan plan, inUse netip.Addr) (health.Result, sign) {
	results, heard := make(chan health.Result, 1), noSign
	ended := make(chan struct{})
	t := newTarget(p, plan, nil)
	t.inUse.Store(&inUse)
	t.deliver = func(r health.Result) {
		heard = t.heard()
		results <- r
		t.stop(ended)
	}
	began := time.Now()
	p.loop.post(t.round)
	stop := context.AfterFunc(ctx, func() {
		p.loop.post(func() {
			if t.stopping == nil {
				t.stop(ended)
			}
		})
	})
	defer stop()
	<-ended
	select {
	case result := <-results:
		return result, heard
	default:
		return health.Result{Target: plan.target, Started: began, Took: time.Since(began), Failure: "check broken off: " + context.Cause(ctx).Error()}, noSign
	}
}
