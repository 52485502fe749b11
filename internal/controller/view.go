package controller

import (
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/state"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// A view is what the loop knows at one moment. All of it but the board is
// never changed, only replaced.
type view struct {
	version  string
	started  time.Time
	site     *topology.Site
	cohorts  *steer.Cohorts
	config   api.Config
	board    *health.Board
	intent   state.Intent
	want     steer.Assignment
	seq      uint64
	routers  map[topology.RouterName]router
	unkept   string // why events are not kept, if they are not
	warnings []string
	troubles map[string]string
}

// view is for use in the loop; elsewhere the board must be a clone.
func (c *Controller) view() view {
	v := view{
		version: c.options.Version, started: c.started, site: c.site, cohorts: c.cohorts, config: c.config, board: c.board,
		intent: followed(c.intent, c.site), want: c.want, seq: c.seq, routers: make(map[topology.RouterName]router, len(c.routers)), warnings: c.warnings, troubles: c.troubles,
		unkept: c.journal.Trouble(),
	}
	for name, r := range c.routers {
		v.routers[name] = *r
	}
	return v
}

// input is what steer looks at.
func (v view) input(now time.Time) steer.Input {
	heard, since := v.board.Witness()
	return steer.Input{
		Site: v.site, Cohorts: v.cohorts, Health: v.board, Will: v.will(now), Previous: v.want, Now: now,
		Witness: steer.Witness{Heard: heard, Since: since},
	}
}
