package show

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/internal/api"
)

// Moved writes what became of a drain or undrain, a line for each VIP, and
// which routers confirmed.
func Moved(m *api.Moved, style Style) string {
	var b strings.Builder
	verb := "in service again"
	if m.Admin == "drain" {
		verb = "drained"
	}
	fmt.Fprintf(&b, "%s is %s\n", clean(m.Server), verb)
	t := newTable()
	for _, move := range m.VIPs {
		reason := ""
		if move.Reason != "" {
			reason = "(" + move.Reason + ")"
		}
		t.add(cells(vipLabel(move.VIP, move.Name), whereTo(move), reason)...)
	}
	t.write(&b, style, "  ")
	writeConfirmations(&b, m, style)
	return b.String()
}

func whereTo(move api.Move) string {
	if slices.Equal(move.From, move.To) {
		return "stays on " + servers(move.To)
	}
	return servers(move.From) + " -> " + servers(move.To)
}

func writeConfirmations(b *strings.Builder, m *api.Moved, style Style) {
	var confirmed []string
	for _, router := range m.Routers {
		if router.InSync && router.Error == "" {
			confirmed = append(confirmed, router.Name)
			continue
		}
		why := "it has not said so yet"
		if router.Error != "" {
			why = router.Error
		}
		fmt.Fprintf(b, "%s by %s: %s\n", style.paint(bad, "not confirmed"), clean(router.Name), clean(why))
	}
	if len(confirmed) > 0 {
		fmt.Fprintf(b, "%s by %s\n", style.paint(good, "confirmed"), clean(strings.Join(confirmed, ", ")))
	}
}

// Already says that a drain or undrain changed nothing: "web1 is already
// drained (by root, 5m ago)".
func Already(m *api.Moved, admin api.Admin, now time.Time) string {
	if m.Admin != "drain" {
		return clean(m.Server) + " is already in service"
	}
	var details []string
	if admin.By != "" {
		details = append(details, "by "+admin.By)
	}
	if !admin.Since.IsZero() {
		details = append(details, ago(now, admin.Since))
	}
	text := m.Server + " is already drained"
	if len(details) > 0 {
		text += " (" + strings.Join(details, ", ") + ")"
	}
	if admin.Reason != "" {
		text += ": " + admin.Reason
	}
	return clean(text)
}

// Plan writes what would change, and the routers' own commands for it.
func Plan(p *api.Plan, style Style) string {
	var b strings.Builder
	if len(p.Changes) == 0 {
		b.WriteString("nothing to change\n")
	}
	t := newTable()
	for _, change := range p.Changes {
		t.add(cells(change.Router, change.Op, change.Prefix, hops(change), change.Reason)...)
	}
	t.write(&b, style, "")
	writeList(&b, "COMMANDS", p.Commands, style)
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
	b.WriteString("\n" + style.paint(bold, heading) + "\n")
	for _, line := range lines {
		b.WriteString("  " + clean(line) + "\n")
	}
}

// Checks writes the outcome of checks done on request.
func Checks(results []api.CheckResult, style Style) string {
	var b strings.Builder
	t := newTable("SERVER", "VIP", "CHECK", "RESULT", "TOOK", "WHY")
	for _, r := range results {
		result := cell{"ok", good}
		if !r.OK {
			result = cell{"FAILED", bad}
		}
		t.add(cell{text: r.Server}, cell{text: r.VIP}, cell{text: r.Check}, result,
			cell{text: milliseconds(r.TookMs)}, cell{text: r.Failure})
	}
	t.write(&b, style, "")
	return b.String()
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
