package bgp

import (
	"context"
	"net/netip"
	"slices"

	"github.com/osrg/gobgp/v4/pkg/apiutil"
)

// batch is how many paths are handed over in one call, so that a deadline and
// the speaker's keepalives come through in between. The server packs up to 2,048
// at a time.
const batch = 2000

// An exchange is paths to be announced and withdrawn.
type exchange struct {
	maker          pathMaker
	added, removed []placed
	after          map[netip.Prefix][]slot
	inOrder        bool // a prefix loses some of its paths: others must have been sent
	pause          bool // and routers must have had time to look at them
}

// A placed is a path of a prefix. The server's form of it, which is ten times as
// large, is made of a batch at a time.
type placed struct {
	prefix netip.Prefix
	slot   slot
}

// add adds a prefix's step.
func (e *exchange) add(p netip.Prefix, s step) {
	for _, slots := range [][]slot{s.placed, s.besides} {
		for _, slot := range slots {
			e.added = append(e.added, placed{p, slot})
		}
	}
	for _, slot := range s.gone {
		e.removed = append(e.removed, placed{p, slot})
	}
	e.after[p] = s.after
	e.inOrder = e.inOrder || len(s.gone) > 0 && len(s.after) > 0
}

// sort puts together what leads to the same: the server packs what it is handed in
// one batch.
func (e *exchange) sort() {
	place := map[target]int{}
	var groups [][]placed
	for _, at := range e.added {
		i, known := place[at.slot.to]
		if !known {
			i = len(groups)
			place[at.slot.to], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], at)
	}
	e.added = slices.Concat(groups...)
}

func (e *exchange) empty() bool { return len(e.added)+len(e.removed) == 0 }

// inBatches makes the server's form of paths, and hands it over.
func (e *exchange) inBatches(ctx context.Context, all []placed, do func([]*apiutil.Path) error) error {
	paths := make([]*apiutil.Path, 0, min(len(all), batch))
	for part := range slices.Chunk(all, batch) {
		if err := ctx.Err(); err != nil {
			return err
		}
		paths = paths[:0]
		for _, at := range part {
			path, err := e.maker.path(at.prefix, at.slot)
			if err != nil {
				return err
			}
			paths = append(paths, path)
		}
		if err := do(paths); err != nil {
			return err
		}
	}
	return nil
}
