package controller

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/state"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// A place is a server, as all its VIPs or as one sees it.
type place struct {
	server topology.ServerName
	vip    netip.Prefix // of the entry; the zero Prefix for all
}

// drain edits the intent, and reports whether that changes it. A drain that is there
// gets the new one's reason and end, if it gives any.
func (p place) drain(intent *state.Intent, drain state.Drain) (api.Event, bool) {
	before, drained := p.drained(intent)
	event := api.Event{From: "ready", To: "drain", Reason: drain.Reason}
	if drained {
		event.From = "drain"
		if drain.Reason == "" && drain.Until.IsZero() && drain.Reboot == state.NoReboot {
			return event, false
		}
		drain.Since, drain.By = before.Since, before.By
		if drain.Reason == "" {
			drain.Reason = before.Reason
		}
		if drain.Until.IsZero() && drain.Reboot == state.NoReboot {
			drain.Until, drain.Reboot, drain.Asked = before.Until, before.Reboot, before.Asked
		}
	}
	intent.Recalls = slices.DeleteFunc(intent.Recalls, func(r state.Recall) bool { return r.Server == p.server && r.VIP == p.vip })
	if p.vip.IsValid() {
		intent.Take(p.server, p.vip, drain)
	} else {
		intent.Drains[p.server] = drain
	}
	return event, true
}

// undrain edits the intent, and reports whether that changes it.
func (p place) undrain(intent *state.Intent) (api.Event, bool) {
	before, drained := p.drained(intent)
	if p.vip.IsValid() {
		intent.Give(p.server, p.vip)
	} else {
		delete(intent.Drains, p.server)
	}
	return api.Event{From: "drain", To: "ready", LastedMs: time.Since(before.Since).Milliseconds()}, drained
}

func (p place) drained(intent *state.Intent) (state.Drain, bool) {
	if p.vip.IsValid() {
		drain, drained := intent.Off[p.vip][p.server]
		return drain, drained
	}
	drain, drained := intent.Drains[p.server]
	return drain, drained
}

// editPlaces edits the intent of each server, of the VIPs that words name or of
// all. It runs in the loop. What is in the intent need not be in the file.
func (c *Controller) editPlaces(intent *state.Intent, servers []topology.ServerName, words []string, edit func(place) (api.Event, bool)) ([]api.Event, error) {
	places, err := c.places(intent, servers, words)
	if err != nil {
		return nil, err
	}
	var events []api.Event
	for _, p := range places {
		event, changed := edit(p)
		if !changed {
			continue
		}
		event.Kind, event.Server = api.AdminEvent, string(p.server)
		if p.vip.IsValid() {
			event.VIP = p.vip.String()
		}
		events = append(events, event)
	}
	return events, nil
}

func (c *Controller) places(intent *state.Intent, servers []topology.ServerName, words []string) ([]place, error) {
	var places []place
	for _, name := range servers {
		_, known := c.site.Server(name)
		if _, drained := intent.Drains[name]; !known && !drained && len(words) == 0 {
			return nil, unknownServer(c.site, string(name))
		}
		for _, word := range words {
			p, err := c.place(intent, name, word)
			if err != nil {
				return nil, err
			}
			places = append(places, p)
		}
		if len(words) == 0 {
			places = append(places, place{server: name})
		}
	}
	return places, nil
}

// place finds the VIP that a word means, of which the server is, or was drained.
func (c *Controller) place(intent *state.Intent, name topology.ServerName, word string) (place, error) {
	prefix, _ := netip.ParsePrefix(word) // the zero Prefix is none's
	vip, err := c.vip(word)
	for _, of := range []netip.Prefix{prefix, vip.Prefix} {
		if _, drained := intent.Off[of][name]; drained {
			return place{name, of}, nil
		}
	}
	if _, known := c.site.Server(name); !known {
		return place{}, unknownServer(c.site, string(name))
	}
	if err == nil && !slices.Contains(vip.Servers(), name) {
		err = notOf(vip, name)
	}
	return place{name, vip.Prefix}, err
}

// vip finds the VIP that a word means.
func (c *Controller) vip(word string) (topology.VIP, error) {
	vip, known := c.site.FindVIP(word)
	if !known {
		return vip, unknownVIP(c.site, word)
	}
	return vip, nil
}

// pinnedVIP finds the VIP that a word means; one that is pinned need not be in the
// file.
func (c *Controller) pinnedVIP(intent *state.Intent, word string) (netip.Prefix, error) {
	if prefix, err := netip.ParsePrefix(word); err == nil {
		if _, pinned := intent.Pins[prefix]; pinned {
			return prefix, nil
		}
	}
	vip, err := c.vip(word)
	return vip.Prefix, err
}

// checkPin finds fault with a pin that could never hold.
func (c *Controller) checkPin(vip topology.VIP, name topology.ServerName) error {
	if _, known := c.site.Server(name); !known {
		return unknownServer(c.site, string(name))
	}
	if !slices.Contains(vip.Servers(), name) {
		return notOf(vip, name)
	}
	return nil
}

// checkEnd finds fault with an end that is over.
func (c *Controller) checkEnd(until, now time.Time) error {
	if until.IsZero() || until.After(now) {
		return nil
	}
	return &api.Error{Code: api.BadRequest, Message: fmt.Sprintf("it cannot last until %s: that is over", until.Format(time.RFC3339))}
}

// recalls is the traffic that words mean: of VIPs, or to servers; all without any.
func (c *Controller) recalls(words []string) ([]state.Recall, error) {
	if len(words) == 0 {
		return []state.Recall{{Hurry: true}}, nil
	}
	var recalls []state.Recall
	for _, word := range words {
		if _, known := c.site.Server(topology.ServerName(word)); known {
			recalls = append(recalls, state.Recall{Server: topology.ServerName(word), Hurry: true})
			continue
		}
		vip, known := c.site.FindVIP(word)
		if !known {
			return nil, unknownName(c.site, word)
		}
		recalls = append(recalls, state.Recall{VIP: vip.Prefix, Hurry: true})
	}
	return recalls, nil
}

func serverNames(words []string) []topology.ServerName {
	names := make([]topology.ServerName, len(words))
	for i, word := range words {
		names[i] = topology.ServerName(word)
	}
	return names
}

func orAll(words []string) string {
	if len(words) == 0 {
		return "all"
	}
	return strings.Join(words, ", ")
}

// concernsServers is of VIPs that were or are at one of the servers.
func concernsServers(servers []topology.ServerName) func(*steer.Cohort, steer.Want, steer.Want) bool {
	return func(_ *steer.Cohort, was, want steer.Want) bool {
		return slices.ContainsFunc(servers, func(name topology.ServerName) bool {
			return slices.Contains(was.Servers, name) || slices.Contains(want.Servers, name)
		})
	}
}

// concernsVIP is of the VIP whose entry has that prefix.
func concernsVIP(prefix netip.Prefix) func(*steer.Cohort, steer.Want, steer.Want) bool {
	return func(cohort *steer.Cohort, _, _ steer.Want) bool {
		return slices.ContainsFunc(cohort.Entries, func(entry topology.Entry) bool { return entry.VIP.Prefix == prefix })
	}
}

func notOf(vip topology.VIP, name topology.ServerName) error {
	return &api.Error{
		Code:    api.Refused,
		Message: fmt.Sprintf("%s is not a server of %s", name, vip.Prefix),
		Details: []string{"its servers: " + strings.Join(words(vip.Servers()), ", ")},
	}
}

func unknownVIP(site *topology.Site, word string) error {
	return unknown(site, "VIP", word, vipWords(site))
}

func unknownName(site *topology.Site, word string) error {
	known := vipWords(site)
	for _, server := range site.Servers {
		known = append(known, string(server.Name))
	}
	return unknown(site, "VIP or server", word, known)
}

// vipWords are the names and prefixes of the file's entries.
func vipWords(site *topology.Site) []string {
	var known []string
	for _, entry := range site.Entries() {
		if entry.VIP.Name != "" {
			known = append(known, entry.VIP.Name)
		}
		known = append(known, entry.VIP.Prefix.String())
	}
	return known
}

// most is how many names an error lists.
const most = 20

func unknown(site *topology.Site, what, word string, known []string) error {
	failure := &api.Error{Code: api.NotFound, Message: fmt.Sprintf("no %s %q in %s", what, word, site.File)}
	if near := topology.Nearest(word, known); len(near) > 0 {
		failure.Hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	listed := known[:min(len(known), most)]
	failure.Details = []string{fmt.Sprintf("known %ss: %s%s", strings.TrimSuffix(what, " or server"), strings.Join(listed, ", "), andMore(len(known)-len(listed)))}
	return failure
}
