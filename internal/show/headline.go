package show

import (
	"fmt"
	"slices"
	"strings"

	"github.com/routesteer/routesteer/api"
)

// Headline says in one line what an operator must know first: that all is
// well, or the worst things, worst first.
func Headline(s *api.Status, style Style) string {
	trouble, notes := findTrouble(s), findNotes(s)
	if len(trouble) == 0 && len(s.Warnings) > 0 { // trouble has its warnings, and says more
		notes = append(notes, Plural(len(s.Warnings), "warning"))
	}
	file := clean(s.Config.File)
	all := strings.Join(slices.Concat(trouble, notes), "; ")
	switch {
	case len(trouble) > 0:
		return file + ": " + style.paint(bad, "trouble") + ": " + all
	case len(notes) > 0:
		return file + ": " + style.paint(doubtful, "note") + ": " + all
	default:
		return file + ": " + style.paint(good, "all well") + ": " + census(s)
	}
}

// census counts a site where nothing is amiss.
func census(s *api.Status) string {
	return fmt.Sprintf("%s up, %s routed, %s in sync",
		Plural(len(s.Servers), "server"), Plural(countVIPs(s), "VIP"), Plural(len(s.Routers), "router"))
}

// findTrouble lists what costs traffic or soon may.
func findTrouble(s *api.Status) []string {
	var found []string
	found = appendNamed(found, "VIP", "without a server", vipsWhere(s, func(v api.VIP) bool { return abandoned(s, v) }))
	if s.Frozen != "" {
		found = append(found, clean(s.Frozen))
	}
	found = appendNamed(found, "VIP", "held back where it is", vipsWhere(s, func(v api.VIP) bool { return v.Held && !abandoned(s, v) }))
	found = appendNamed(found, "router", "in error", routersWhere(s, func(r api.Router) bool { return r.Error != "" }))
	found = appendNamed(found, "server", "down", serversWhere(s, func(v api.Server) bool { return v.Health == "down" }))
	found = appendNamed(found, "server", "partly down", serversWhere(s, func(v api.Server) bool { return v.Health == "mixed" }))
	found = appendNamed(found, "router", "fighting with another program", routersWhere(s, func(r api.Router) bool { return r.Error == "" && len(r.Fighting) > 0 }))
	found = appendNamed(found, "router", "not yet as wanted", routersWhere(s, func(r api.Router) bool {
		return r.Error == "" && !r.InSync && len(r.Fighting) == 0 && !r.LastLook.IsZero()
	}))
	if failedReload(s) {
		found = append(found, "the last reload was refused")
	}
	return found
}

// findNotes lists what an operator should know and may have wanted.
func findNotes(s *api.Status) []string {
	var found []string
	found = appendNamed(found, "server", "drained", serversWhere(s, func(v api.Server) bool { return v.Admin.State == "drain" }))
	found = appendNamed(found, "server", "in maintenance", serversWhere(s, func(v api.Server) bool { return v.Admin.State == "maintenance" }))
	if n := len(s.Transitions); n > 0 {
		found = append(found, Plural(n, "move")+" with connections that may stay")
	}
	found = appendNamed(found, "server", "not known yet", serversWhere(s, func(v api.Server) bool { return v.Health == "unknown" }))
	found = appendNamed(found, "router", "not looked at yet", routersWhere(s, func(r api.Router) bool { return r.Error == "" && r.LastLook.IsZero() }))
	return found
}

// countVIPs counts prefixes.
func countVIPs(s *api.Status) int {
	n := 0
	for _, vip := range s.VIPs {
		n += max(1, len(vip.Prefixes))
	}
	return n
}

// abandoned reports whether no server can carry the VIP, as far as is known:
// at a start, before the first verdicts, nothing is.
func abandoned(s *api.Status, vip api.VIP) bool {
	return len(vip.Eligible) == 0 && !undecided(s, judge(vip))
}

// undecided reports whether a server that is not drained has no verdict yet
// for the VIP.
func undecided(s *api.Status, vip string) bool {
	for _, server := range s.Servers {
		for _, target := range server.Targets {
			if target.VIP == vip && target.Health == "unknown" && server.Admin.State == "ready" {
				return true
			}
		}
	}
	return false
}

func failedReload(s *api.Status) bool { return s.Config.Failed.After(s.Config.Loaded) }

// appendNamed adds "2 servers down: web1, web2", unless there are none.
func appendNamed(found []string, noun, what string, names []string) []string {
	if len(names) == 0 {
		return found
	}
	return append(found, fmt.Sprintf("%s %s: %s", Plural(len(names), noun), what, few(names)))
}

func serversWhere(s *api.Status, is func(api.Server) bool) []string {
	var names []string
	for _, server := range s.Servers {
		if is(server) {
			names = append(names, server.Name)
		}
	}
	return names
}

func vipsWhere(s *api.Status, is func(api.VIP) bool) []string {
	var names []string
	for _, vip := range s.VIPs {
		if is(vip) {
			names = append(names, vip.Prefix)
		}
	}
	return names
}

func routersWhere(s *api.Status, is func(api.Router) bool) []string {
	var names []string
	for _, router := range s.Routers {
		if is(router) {
			names = append(names, router.Name)
		}
	}
	return names
}

// few writes at most four names.
func few(names []string) string {
	const most = 4
	if len(names) <= most {
		return clean(strings.Join(names, ", "))
	}
	return clean(strings.Join(names[:most-1], ", ")) + fmt.Sprintf(" and %d more", len(names)-most+1)
}

// Plural counts things: "1 server", "2 servers".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
