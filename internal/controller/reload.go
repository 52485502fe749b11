package controller

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// Reload implements api.Operator. What is known of servers, VIPs and checks
// that are the same in both files is kept; routes move only where the new file
// says so.
func (c *Controller) Reload(ctx context.Context, request api.ReloadRequest) (*api.Reloaded, error) {
	release, err := c.alone(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	site, err := c.options.Load()
	if err != nil {
		return nil, c.refuseReload(ctx, err, request.By)
	}
	var differences []string
	var apart []netip.Prefix
	if err := c.do(ctx, func() {
		differences, apart = differ(c.site, site), asked(followed(c.intent, site)).Apart()
	}); err != nil {
		return nil, err
	}
	cohorts := steer.NewCohorts(site, apart...)
	if err := c.prober.Set(site); err != nil {
		return nil, c.refuseReload(ctx, fmt.Errorf("start checks of the new configuration: %w", err), request.By)
	}
	// What is checked now must be steered, too, even if the operator has gone.
	if err := c.do(context.WithoutCancel(ctx), func() { c.become(site, cohorts, differences, request.By) }); err != nil {
		return nil, err
	}
	return &api.Reloaded{File: site.File, Changes: differences}, nil
}

// refuseReload keeps the running configuration and says so wherever an
// operator may look.
func (c *Controller) refuseReload(ctx context.Context, problem error, by string) error {
	details := strings.Split(problem.Error(), "\n") // topology.Problems has one in a line
	err := c.do(ctx, func() {
		c.config.Failed, c.config.Problems = time.Now(), details
		c.record(api.Event{Kind: api.ConfigEvent, To: toRefused, By: by, Reason: inAll(details, "problem") + "; the running configuration stays"})
	})
	if err != nil {
		return err
	}
	return &api.Error{
		Code:    api.BadConfig,
		Message: "the new configuration is refused, the running one stays",
		Details: details,
	}
}

// become makes site the one that is steered.
func (c *Controller) become(site *topology.Site, cohorts *steer.Cohorts, differences []string, by string) {
	c.site = site
	c.intent.Recalls = inherited(c.recallsSoFar(), site) // new checks have seen nobody fall
	c.steered.set(site)
	c.config = api.Config{File: site.File, Hash: site.Hash, Loaded: time.Now(), Problems: []string{}}
	c.board.SetSite(site)
	c.tally.become(site)
	c.regroup(cohorts)
	c.poke()
	c.decide(time.Now(), func() api.Event {
		return api.Event{Kind: api.ConfigEvent, To: "loaded", By: by, Reason: inAll(differences, "change")}
	})
	// The workers are new, and have no order yet.
	c.order(time.Now())
}

// inAll lists what an event has room for, and counts the rest.
func inAll(lines []string, what string) string {
	const room = 10
	text := strings.Join(lines[:min(len(lines), room)], "; ")
	if len(lines) > room {
		text += fmt.Sprintf("; and %d more of %d %ss", len(lines)-room, len(lines), what)
	}
	return text
}

// differ says in words what differs between two sites.
func differ(old, site *topology.Site) []string {
	differences := []string{}
	differences = compare(differences, "server", old.Servers, site.Servers, func(s topology.Server) string { return string(s.Name) })
	differences = compare(differences, "check", old.Checks, site.Checks, func(c topology.Check) string { return string(c.Name) })
	differences = compare(differences, "VIP", old.VIPs, site.VIPs, func(v topology.VIP) string { return v.Prefix.String() })
	differences = compare(differences, "router", old.Routers, site.Routers, func(r topology.Router) string { return string(r.Name) })
	for _, part := range []struct {
		name     string
		old, new any
	}{{"alive", old.Alive, site.Alive}, {"policy", old.Policy, site.Policy}, {"maintenance", old.Maintenance, site.Maintenance}, {"paths", old.Paths, site.Paths}, {"notify", old.Notify, site.Notify}, {"http", old.Web, site.Web}} {
		if !reflect.DeepEqual(part.old, part.new) {
			differences = append(differences, part.name+" changed")
		}
	}
	return differences
}

func compare[T any](differences []string, kind string, old, site []T, name func(T) string) []string {
	was := map[string]T{}
	for _, item := range old {
		was[name(item)] = item
	}
	for _, item := range site {
		former, known := was[name(item)]
		delete(was, name(item))
		switch {
		case !known:
			differences = append(differences, kind+" "+name(item)+" added")
		case !reflect.DeepEqual(former, item):
			differences = append(differences, kind+" "+name(item)+" changed")
		}
	}
	for _, item := range old {
		if _, gone := was[name(item)]; !gone {
			continue
		}
		text := kind + " " + name(item) + " removed"
		if kind == "VIP" {
			text += "; its routes stay on the routers, and are yours now"
		}
		differences = append(differences, text)
	}
	return differences
}
