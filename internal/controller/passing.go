package controller

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/state"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// passing is what becomes an event by the passing of time alone.
type passing struct {
	next     time.Time // when something will; zero for never
	silent   bool      // no witness is heard
	reminded time.Time // drains that were too old by then have been reminded of
}

// witnessSilent is when no witness will have been heard for too long; zero if the site
// has none.
func (c *Controller) witnessSilent() time.Time {
	if len(c.site.Policy.Witness) == 0 {
		return time.Time{}
	}
	heard, _ := c.board.Witness()
	return later(heard, c.config.Loaded).Add(deafAfter)
}

// recordWitness records that no witness is heard, or one is again.
func (c *Controller) recordWitness(now time.Time) {
	at := c.witnessSilent()
	silent := !at.IsZero() && !now.Before(at)
	if silent == c.passing.silent {
		return
	}
	c.passing.silent = silent
	event := api.Event{Time: now, Kind: api.GuardEvent, Cause: "witness", From: "heard", To: toSilent}
	event.Reason = fmt.Sprintf("no witness (%s) is heard: until one is, failures move nothing", strings.Join(texts(c.site.Policy.Witness), ", "))
	if !silent {
		event.From, event.To, event.Reason = event.To, event.From, ""
	}
	c.record(event)
}

// recordReminders records which drains have become too old since the last time, and do not
// end by themselves.
func (c *Controller) recordReminders(now time.Time) {
	since := c.passing.reminded
	c.passing.reminded = now
	c.eachOldDrain(func(server topology.ServerName, vip netip.Prefix, drain state.Drain, at time.Time) {
		if !at.After(since) || at.After(now) {
			return
		}
		event := api.Event{
			Time: now, Kind: api.AdminEvent, Server: string(server), From: "drain", To: toReminder, By: ourselves,
			LastedMs: now.Sub(drain.Since).Milliseconds(),
			Reason:   fmt.Sprintf("it has been drained for %s: is it forgotten?", now.Sub(drain.Since).Round(time.Minute)),
		}
		if drain.By != "" {
			event.Reason = fmt.Sprintf("%s drained it %s ago: is it forgotten?", drain.By, now.Sub(drain.Since).Round(time.Minute))
		}
		if vip.IsValid() {
			event.VIP = vip.String()
		}
		c.record(event)
	})
}

// eachOldDrain calls f for each drain that does not end at a time, with the moment from
// which it is too old.
func (c *Controller) eachOldDrain(f func(topology.ServerName, netip.Prefix, state.Drain, time.Time)) {
	limit := c.site.Policy.DrainReminder
	if limit == 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.intent.Drains)) {
		if drain := c.intent.Drains[name]; drain.Until.IsZero() {
			f(name, netip.Prefix{}, drain, drain.Since.Add(limit))
		}
	}
	for _, vip := range slices.SortedFunc(maps.Keys(c.intent.Off), steer.ComparePrefix) {
		for _, name := range slices.Sorted(maps.Keys(c.intent.Off[vip])) {
			if drain := c.intent.Off[vip][name]; drain.Until.IsZero() {
				f(name, vip, drain, drain.Since.Add(limit))
			}
		}
	}
}

// nextPassing is when one of these is due; zero for never.
func (c *Controller) nextPassing() time.Time {
	var next time.Time
	if !c.passing.silent {
		next = c.witnessSilent()
	}
	c.eachOldDrain(func(_ topology.ServerName, _ netip.Prefix, _ state.Drain, at time.Time) {
		if at.After(c.passing.reminded) {
			next = earlier(next, at)
		}
	})
	return next
}
