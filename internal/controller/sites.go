package controller

import (
	"context"
	"iter"
	"maps"
	"sync"

	"github.com/routesteer/routesteer/topology"
)

// running is the site that is steered, for those who follow it outside the
// loop. It is safe for concurrent use.
type running struct {
	mu       sync.Mutex
	site     *topology.Site
	replaced chan struct{} // closed, and replaced, with the site
}

func newRunning(site *topology.Site) *running {
	return &running{site: site, replaced: make(chan struct{})}
}

func (r *running) set(site *topology.Site) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.site = site
	close(r.replaced)
	r.replaced = make(chan struct{})
}

func (r *running) get() (*topology.Site, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.site, r.replaced
}

// Sites yields the site that is steered, and after each reload the one that is
// steered from then on, until ctx ends. Who is slow misses those that were
// replaced meanwhile, never the latest.
func (c *Controller) Sites(ctx context.Context) iter.Seq[*topology.Site] {
	return func(yield func(*topology.Site) bool) {
		for ctx.Err() == nil {
			site, replaced := c.steered.get()
			if !yield(site) {
				return
			}
			select {
			case <-replaced:
			case <-ctx.Done():
			}
		}
	}
}

// Warn makes status warn of a part of the program that is in trouble, in place
// of what was said of it before; "" ends that. It waits for its turn in the loop.
func (c *Controller) Warn(ctx context.Context, part, text string) error {
	return c.do(ctx, func() {
		troubles := maps.Clone(c.troubles)
		delete(troubles, part)
		if text != "" {
			troubles[part] = text
		}
		c.troubles = troubles
	})
}
