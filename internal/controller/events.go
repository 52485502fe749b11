package controller

import (
	"context"
	"iter"
	"net/netip"
	"slices"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/journal"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// Events implements api.Operator. VIPs are found in the site as it is when Events is
// called; a prefix that the site does not have any more is one that it had.
func (c *Controller) Events(ctx context.Context, request api.EventsRequest) iter.Seq2[api.Event, error] {
	vips, err := c.vipFilter(ctx, request.VIPs)
	if err != nil {
		return func(yield func(api.Event, error) bool) { yield(api.Event{}, err) }
	}
	return c.journal.Events(ctx, journal.Query{
		Since: request.Since, Last: request.Last, Follow: request.Follow,
		Admit: func(event api.Event) bool { return request.Admits(event) && vips(event) },
	})
}

// vipFilter makes a filter of events that are about the VIPs which words mean.
func (c *Controller) vipFilter(ctx context.Context, words []string) (func(api.Event) bool, error) {
	if len(words) == 0 {
		return func(api.Event) bool { return true }, nil
	}
	var site *topology.Site
	var cohorts *steer.Cohorts
	if err := c.do(ctx, func() { site, cohorts = c.site, c.cohorts }); err != nil {
		return nil, err
	}
	var vips []topology.VIP
	for _, word := range words {
		vip, known := site.FindVIP(word)
		if !known {
			prefix, err := netip.ParsePrefix(word)
			if err != nil {
				return nil, unknownVIP(site, word)
			}
			vip.Prefix, vip.Entry = prefix, prefix
		}
		vips = append(vips, vip)
	}
	return func(event api.Event) bool {
		return slices.ContainsFunc(vips, func(vip topology.VIP) bool { return isAbout(site, cohorts, vip, event) })
	}, nil
}

// isAbout reports whether an event is about a VIP, given as the first of its entry: by
// a prefix of the entry or, if it is about several, of others that move or are judged
// alike.
func isAbout(site *topology.Site, cohorts *steer.Cohorts, vip topology.VIP, event api.Event) bool {
	prefix, err := netip.ParsePrefix(event.VIP)
	if err != nil {
		return false
	}
	if prefix == vip.Prefix {
		return true
	}
	if other, known := site.VIP(prefix); known && other.Entry == vip.Entry {
		return true
	}
	return event.VIPs > 1 && (prefix == vip.Judge || cohorts.Of(prefix) != nil && cohorts.Of(prefix) == cohorts.Of(vip.Prefix))
}

// record keeps an event. It belongs to the loop.
func (c *Controller) record(event api.Event) {
	if event.Severity == "" {
		event.Severity = severity(event)
	}
	c.lasting.note(&event)
	c.journal.Record(event)
}
