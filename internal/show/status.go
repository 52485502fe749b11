package show

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
)

// Status writes the whole site: a headline, then servers, VIPs, routers and
// warnings.
func Status(s *api.Status, style Style) string {
	var b strings.Builder
	style.line(&b, "", Headline(s, style))
	b.WriteByte('\n')
	serverTable(s).write(&b, style, "")
	b.WriteByte('\n')
	vipTable(s).write(&b, style, "")
	b.WriteByte('\n')
	if len(s.Transitions) > 0 {
		transitionTable(s).write(&b, style, "")
		b.WriteByte('\n')
	}
	routerTable(s.Routers, s.Time).write(&b, style, "")
	if sessions := sessionTable(s.Routers, s.Time); sessions != nil {
		b.WriteByte('\n')
		sessions.write(&b, style, "")
	}
	writeWarnings(&b, s, style)
	return b.String()
}

func serverTable(s *api.Status) *table {
	t := newTable("SERVER", "HEALTH", "SINCE", "ADMIN", "SERVES", "WHY")
	for _, server := range s.Servers {
		t.add(
			cell{text: server.Name},
			cell{server.Health, healthInk(server.Health)},
			cell{text: since(s.Time, server.Since)},
			cell{server.Admin.State, adminInk(server.Admin)},
			cell{text: few(server.Serving)},
			cell{text: serverWhy(server, s.Time)},
		)
	}
	return t
}

// serverWhy says what is not as usual with a server.
func serverWhy(server api.Server, now time.Time) string {
	var why []string
	if server.Why != "" {
		why = append(why, server.Why)
	}
	if server.Admin.State != "ready" {
		why = append(why, adminWhy(server.Admin, now))
	}
	if server.Echo == "lost" || server.Echo == "filtered" {
		why = append(why, "echo "+server.Echo)
	}
	flapped := false
	for _, target := range server.Targets {
		if target.Trend != "" {
			why = append(why, several(target.VIP, target.VIPs)+" "+target.Trend)
		}
		if target.Damping > 1 && !flapped && target.Health == "down" {
			flapped = true
			why = append(why, fmt.Sprintf("it has flapped: %d passes to rise, in %s at the earliest", target.Rise, Age(target.UpAt.Sub(now))))
		}
	}
	return strings.Join(why, "; ")
}

// adminWhy says who took a server out of service, when, why and until when:
// "drained by root 5m ago for 2h more: kernel update".
func adminWhy(admin api.Admin, now time.Time) string {
	text := "drained"
	if admin.State == "maintenance" {
		text = "in maintenance"
	}
	if admin.By != "" {
		text += " by " + admin.By
	}
	if !admin.Since.IsZero() {
		text += " " + ago(now, admin.Since)
	}
	switch {
	case !admin.Until.IsZero():
		text += " for " + Age(admin.Until.Sub(now)) + " more"
	case admin.Reboot == "awaited":
		text += " until it has rebooted"
	case admin.Reboot != "":
		text += " until it is well after its reboot"
	}
	if admin.Reason != "" {
		text += ": " + admin.Reason
	}
	return text
}

func vipTable(s *api.Status) *table {
	t := newTable("VIP", "NOW", "WANTED", "STATE", "SINCE", "WHY")
	for _, vip := range s.VIPs {
		state, ink := vipState(s, vip)
		t.add(
			cell{text: vipLabel(several(vip.Prefix, len(vip.Prefixes)), vip.Name)},
			cell{text: whereNow(vip.Routes)},
			cell{text: servers(vip.Wanted)},
			cell{state, ink},
			cell{text: since(s.Time, vip.Since)},
			cell{text: vipWhy(vip, s.Time)},
		)
	}
	return t
}

// vipState is the one word for a VIP.
func vipState(s *api.Status, vip api.VIP) (string, ink) {
	foreign := slices.ContainsFunc(vip.Routes, func(r api.Route) bool { return r.Foreign })
	switch {
	case abandoned(s, vip):
		return "NO SERVER", bad
	case vip.Held:
		return "HELD BACK", bad
	case foreign:
		return "FOREIGN", bad
	case !vip.InSync:
		return "MOVING", doubtful
	case len(vip.Eligible) == 0:
		return "not known", doubtful
	default:
		return "ok", good
	}
}

func vipWhy(vip api.VIP, now time.Time) string {
	var why []string
	if said := vip.Pin != nil && vip.Why == "pinned to "+vip.Pin.Server; vip.Why != "" && !said {
		why = append(why, vip.Why) // a pin says more of itself
	}
	if !vip.Next.IsZero() {
		why = append(why, "failback in "+Age(vip.Next.Sub(now)))
	}
	if vip.Pin != nil {
		why = append(why, pinWhy(*vip.Pin, now))
	}
	for _, off := range vip.Off {
		why = append(why, off.Server+" "+adminWhy(off.Admin, now))
	}
	return strings.Join(why, "; ")
}

// pinWhy says who pinned, when, why and until when.
func pinWhy(pin api.Pin, now time.Time) string {
	text := strings.Replace(adminWhy(api.Admin{By: pin.By, Reason: pin.Reason, Since: pin.Since, Until: pin.Until}, now), "drained", "pinned to "+pin.Server, 1)
	if pin.Void != "" {
		text += ", but " + pin.Void
	}
	return text
}

// whereNow says where each router sends a VIP; once, if all agree.
func whereNow(routes []api.Route) string {
	if len(routes) == 0 {
		return "not known"
	}
	places := make([]string, len(routes))
	agree := true
	for i, route := range routes {
		places[i] = place(route)
		agree = agree && places[i] == places[0]
	}
	if agree {
		return places[0]
	}
	for i, route := range routes {
		places[i] = route.Router + ": " + places[i]
	}
	return strings.Join(places, "; ")
}

// place says where one route leads: to servers by name, else by address.
func place(route api.Route) string {
	if route.Prefixes > 0 {
		n := route.Prefixes
		route.Prefixes = 0
		return fmt.Sprintf("%d to %s", n, place(route))
	}
	var text string
	switch {
	case len(route.NextHops) == 0 && !route.Foreign:
		return "no route"
	case len(route.NextHops) == 0:
		text = "elsewhere"
	case len(route.Servers) == len(route.NextHops):
		text = strings.Join(route.Servers, ", ")
	default:
		text = strings.Join(route.NextHops, ", ")
	}
	if route.Foreign {
		text += " (foreign)"
	}
	return text
}

// several names the first of n.
func several(first string, n int) string {
	if n > 1 {
		return fmt.Sprintf("%s and %d more", first, n-1)
	}
	return first
}

func routerTable(routers []api.Router, now time.Time) *table {
	t := newTable("ROUTER", "DRIVER", "STATE", "ROUTES", "LAST CHANGE", "REPAIRS", "WHY")
	for _, router := range routers {
		state, ink := routerState(router)
		t.add(
			cell{text: router.Name},
			cell{text: router.Driver},
			cell{state, ink},
			cell{text: fmt.Sprint(router.Routes)},
			cell{text: ago(now, router.LastChange)},
			cell{text: fmt.Sprint(router.Repairs)},
			cell{text: routerWhy(router, now)},
		)
	}
	return t
}

func routerState(router api.Router) (string, ink) {
	switch {
	case router.Error != "":
		return "ERROR", bad
	case router.LastLook.IsZero():
		return "not known", doubtful
	case len(router.Fighting) > 0:
		return "FIGHTING", bad
	case !router.InSync:
		return "OUT OF SYNC", bad
	default:
		return "in sync", good
	}
}

func routerWhy(router api.Router, now time.Time) string {
	var why []string
	if router.Error != "" {
		why = append(why, router.Error)
	}
	if !router.Retry.IsZero() {
		why = append(why, "next try in "+Age(router.Retry.Sub(now)))
	}
	if len(router.Fighting) > 0 {
		why = append(why, fightingText(router.Fighting))
	}
	if len(router.Foreign) > 0 {
		heading := Plural(len(router.Foreign), "foreign route") + " in the way: "
		why = append(why, heading+strings.TrimPrefix(strings.Join(router.Foreign, "; "), "foreign route "))
	}
	return strings.Join(why, "; ")
}

// sessionTable lists the sessions with routers; nil if there are none.
func sessionTable(routers []api.Router, now time.Time) *table {
	var t *table
	for _, router := range routers {
		for _, session := range router.Sessions {
			if t == nil {
				t = newTable("ROUTER", "SESSION", "STATE", "SINCE", "DETAIL")
			}
			ink := good
			if !session.Well {
				ink = bad
			}
			t.add(cell{text: router.Name}, cell{text: session.Peer}, cell{session.State, ink},
				cell{text: since(now, session.Since)}, cell{text: session.Detail})
		}
	}
	return t
}

// fightingText names the prefixes that a router leaves alone: some of many.
func fightingText(prefixes []string) string {
	const some = 3
	text := strings.Join(prefixes[:min(some, len(prefixes))], ", ")
	if more := len(prefixes) - some; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text + " left alone: another program changes it again and again"
}

func writeWarnings(b *strings.Builder, s *api.Status, style Style) {
	writeList(b, "WARNINGS", s.Warnings, style)
	if failedReload(s) {
		heading := fmt.Sprintf("RELOAD REFUSED %s ago; the configuration of %s runs on",
			Age(s.Time.Sub(s.Config.Failed)), style.clock(s.Config.Loaded))
		writeList(b, heading, s.Config.Problems, style)
	}
}

func vipLabel(prefix, name string) string {
	if name == "" {
		return prefix
	}
	return prefix + " " + name
}

// servers joins names, and says so when there are none.
func servers(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}

func healthInk(health string) ink {
	switch health {
	case "up":
		return good
	case "down":
		return bad
	default: // unknown, mixed
		return doubtful
	}
}

func adminInk(admin api.Admin) ink {
	if admin.State == "ready" {
		return plain
	}
	return doubtful
}
