package show

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
)

// Moved writes what became of an operator's wish, a line for each VIP, and which
// routers confirmed.
func Moved(m *api.Moved, style Style) string {
	var b strings.Builder
	b.WriteString(Did(m) + "\n")
	t := newTable()
	for _, move := range m.VIPs {
		reason := ""
		if move.Reason != "" {
			reason = "(" + move.Reason + ")"
		}
		t.add(cells(vipLabel(several(move.VIP, move.VIPs), move.Name), whereTo(move), reason)...)
	}
	t.write(&b, style, "  ")
	if len(m.VIPs) == 0 {
		b.WriteString("  no traffic is concerned\n")
	}
	writeConfirmations(&b, m, style)
	for _, cut := range m.Cut {
		style.line(&b, "", fmt.Sprintf("%s by %s", style.paint(doubtful, "connections are cut"), clean(cut)))
	}
	return b.String()
}

// Did says what a wish made true, in one line.
func Did(m *api.Moved) string { return clean(did(m, "")) }

// did says what a wish made true: "web1 and web2 are drained". What is said with
// already was true before.
func did(m *api.Moved, already string) string {
	servers, of := and(m.Servers), and(m.Of)
	are := " is "
	if len(m.Servers) > 1 {
		are = " are "
	}
	are += already
	switch m.Did {
	case "drain":
		return servers + are + "drained" + prepend(" of ", of)
	case "undrain":
		return servers + are + "in service" + unless(already, " again") + prepend(" for ", of)
	case "pin":
		return of + " is " + already + "pinned to " + servers
	case "unpin":
		return of + " is not pinned" + unless(already, " any more")
	case "failback":
		return "traffic may return at once: " + cmp.Or(of, "all")
	default:
		return "failures until now may move traffic"
	}
}

func unless(already, text string) string {
	if already != "" {
		return ""
	}
	return text
}

func prepend(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

// and joins names: "web1, web2 and web3".
func and(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

func whereTo(move api.Move) string {
	if slices.Equal(move.From, move.To) {
		return "stays on " + servers(move.To)
	}
	return servers(move.From) + " -> " + servers(move.To)
}

func writeConfirmations(b *strings.Builder, m *api.Moved, style Style) {
	b.WriteString(Unconfirmed(m, style))
	var confirmed []string
	for _, router := range m.Routers {
		if hasConfirmed(m, router) {
			confirmed = append(confirmed, router.Name)
		}
	}
	if len(confirmed) > 0 {
		fmt.Fprintf(b, "%s by %s\n", style.paint(good, "confirmed"), clean(strings.Join(confirmed, ", ")))
	}
}

// Unconfirmed writes a line for each router that has not confirmed a wish, and why.
func Unconfirmed(m *api.Moved, style Style) string {
	var b strings.Builder
	for _, router := range m.Routers {
		if !hasConfirmed(m, router) {
			style.line(&b, "", fmt.Sprintf("%s by %s: %s", style.paint(bad, "not confirmed"), clean(router.Name), clean(unconfirmedWhy(m, router))))
		}
	}
	return b.String()
}

// hasConfirmed reports whether a router has. One that is out of sync for
// another VIP's sake may have, too.
func hasConfirmed(m *api.Moved, router api.Router) bool {
	return m.Confirmed || router.InSync && router.Error == ""
}

// unconfirmedWhy says what keeps a router from what is wanted, as far as it is
// known.
func unconfirmedWhy(m *api.Moved, router api.Router) string {
	var why []string
	if router.Error != "" {
		why = append(why, router.Error)
	}
	why = append(why, inTheWay(m, router.Foreign)...)
	if len(router.Fighting) > 0 {
		why = append(why, fightingText(router.Fighting))
	}
	if len(why) == 0 {
		return "it has not said so yet"
	}
	return strings.Join(why, "; ")
}

// inTheWay returns the foreign routes of the VIPs concerned, or all if there
// are none of them.
func inTheWay(m *api.Moved, foreign []string) []string {
	var concerned []string
	for _, route := range foreign {
		if slices.ContainsFunc(m.VIPs, func(move api.Move) bool { return slices.Contains(strings.Fields(route), move.VIP) }) {
			concerned = append(concerned, route)
		}
	}
	if len(concerned) == 0 {
		return foreign
	}
	return concerned
}

// Already says that a wish changed nothing: "web1 is already drained (by root, 5m
// ago)". The status, which may be nil, tells by whom and since when.
func Already(m *api.Moved, s *api.Status) string {
	if m.Did != "drain" || s == nil || len(m.Of) > 0 {
		return clean(did(m, "already "))
	}
	var lines []string
	for _, server := range s.Servers {
		if slices.Contains(m.Servers, server.Name) {
			one := &api.Moved{Did: m.Did, Servers: []string{server.Name}}
			lines = append(lines, clean(did(one, "already ")+who(server.Admin, s.Time)))
		}
	}
	return strings.Join(lines, "\n")
}

// who says by whom, when and why: " (by root, 5m ago): kernel update".
func who(admin api.Admin, now time.Time) string {
	var details []string
	if admin.By != "" {
		details = append(details, "by "+admin.By)
	}
	if !admin.Since.IsZero() {
		details = append(details, ago(now, admin.Since))
	}
	text := ""
	if len(details) > 0 {
		text = " (" + strings.Join(details, ", ") + ")"
	}
	if admin.Reason != "" {
		text += ": " + admin.Reason
	}
	return text
}

// planned is why a change is to be made, and what it waits for.
func planned(change api.Change) string {
	if change.HeldUntil.IsZero() {
		return change.Reason
	}
	return "held by change_limit until " + change.HeldUntil.Format(time.TimeOnly) + " at least: " + change.Reason
}

// Plan writes what would change, and the routers' own commands for it.
func Plan(p *api.Plan, style Style) string {
	var b strings.Builder
	switch {
	case len(p.Changes) > 0:
	case len(p.Foreign) == 1:
		b.WriteString("nothing to change, but a foreign route keeps a VIP from being steered\n")
	case len(p.Foreign) > 0:
		fmt.Fprintf(&b, "nothing to change, but %s keep VIPs from being steered\n", Plural(len(p.Foreign), "foreign route"))
	default:
		b.WriteString("nothing to change\n")
	}
	t := newTable()
	for _, change := range p.Changes {
		t.add(cells(change.Router, change.Op, several(change.Prefix, change.Prefixes), hops(change), planned(change))...)
	}
	t.write(&b, style, "")
	whole := style
	whole.Width = 0 // they are there to be copied
	writeList(&b, "COMMANDS", p.Commands, whole)
	writeList(&b, "FOREIGN ROUTES, LEFT ALONE", p.Foreign, style)
	if len(p.Changes) > 0 {
		fmt.Fprintf(&b, "\n%s\n", Plural(len(p.Changes), "change"))
	}
	return b.String()
}

func hops(change api.Change) string {
	from, to := strings.Join(change.From, ", "), strings.Join(change.To, ", ")
	switch {
	case from == "":
		return "via " + to
	case to == "":
		return "via " + from + " -> no route"
	default:
		return "via " + from + " -> " + to
	}
}

func writeList(b *strings.Builder, heading string, lines []string, style Style) {
	if len(lines) == 0 {
		return
	}
	b.WriteByte('\n')
	style.line(b, "", style.paint(bold, heading))
	for _, line := range lines {
		style.line(b, "  ", clean(line))
	}
}

// Reloaded writes what a reload changed.
func Reloaded(r *api.Reloaded) string {
	if len(r.Changes) == 0 {
		return clean(r.File) + ": reloaded, nothing is different\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: reloaded, %s:\n", clean(r.File), Plural(len(r.Changes), "change"))
	for _, change := range r.Changes {
		b.WriteString("  " + clean(change) + "\n")
	}
	return b.String()
}
