package show

import (
	"fmt"
	"strings"

	"github.com/routesteer/routesteer/api"
)

// Explanation writes the whole story of one VIP.
func Explanation(e *api.Explanation, style Style) string {
	var b strings.Builder
	vip := e.VIP
	style.line(&b, "", fmt.Sprintf("%s is wanted on %s: %s", clean(vipLabel(several(vip.Prefix, len(vip.Prefixes)), vip.Name)), clean(servers(vip.Wanted)), clean(vip.Why)))
	b.WriteByte('\n')
	explainFacts(e).write(&b, style, "  ")
	b.WriteByte('\n')
	writeNext(&b, e, style)
	for _, tier := range vip.Tiers {
		b.WriteByte('\n')
		style.line(&b, "", style.paint(bold, strings.ToUpper(clean(tier.Name))))
		writeTier(&b, e, tier.Name, style)
	}
	b.WriteByte('\n')
	writeRouterAnswers(&b, e, style)
	if len(e.Transitions) > 0 {
		b.WriteByte('\n')
		transitionTable(&api.Status{Time: e.Time, Transitions: e.Transitions}).write(&b, style, "")
	}
	return b.String()
}

func explainFacts(e *api.Explanation) *table {
	vip := e.VIP
	t := newTable()
	fact := func(name, value string) {
		if value != "" {
			t.add(cells(name, value)...)
		}
	}
	fact("since", sinceWhen(e))
	fact("kind", e.Cause)
	fact("frozen", e.Frozen)
	if vip.Pin != nil {
		fact("pin", pinWhy(*vip.Pin, e.Time))
	}
	fact("mode", vip.Mode)
	fact("home", e.Home)
	fact("failback", e.Failback)
	fact("all down", e.OnAllDown)
	fact("moves with", vip.MovesAs)
	fact("judged as", vip.JudgedAs)
	return t
}

// sinceWhen is since when the VIP is where it is.
func sinceWhen(e *api.Explanation) string {
	if e.VIP.Since.IsZero() {
		return "it was found so"
	}
	return ago(e.Time, e.VIP.Since)
}

func writeNext(b *strings.Builder, e *api.Explanation, style Style) {
	style.line(b, "", style.paint(bold, "NEXT"))
	if len(e.Next) == 0 {
		style.line(b, "  ", "nothing, as long as all stays as it is")
	}
	for _, next := range e.Next {
		when := "not by itself: "
		if !next.At.IsZero() {
			when = fmt.Sprintf("at %s (in %s): ", style.clock(next.At), Age(next.At.Sub(e.Time)))
		}
		style.line(b, "  ", when+clean(next.What))
	}
}

// writeTier writes the servers of a tier: for each a line that says what it is to
// the VIP, and one with what is known of it.
func writeTier(b *strings.Builder, e *api.Explanation, tier string, style Style) {
	for _, s := range e.Servers {
		if s.Tier != tier {
			continue
		}
		mark := " "
		if s.Chosen {
			mark = "*"
		}
		style.line(b, "", fmt.Sprintf("%s %s: %s: %s", mark, clean(s.Server), style.paint(roleInk(s), s.Role), clean(s.Why)))
		style.line(b, "    ", knownOf(e, s, style))
	}
}

// roleInk: good is who may get the traffic, bad who should and cannot.
func roleInk(s api.Standing) ink {
	switch {
	case s.Target.Health == "down":
		return bad
	case s.Admin.State != "ready":
		return doubtful
	case s.Eligible:
		return good
	default:
		return doubtful
	}
}

// knownOf is a server's health, admin state, weight and load.
func knownOf(e *api.Explanation, s api.Standing, style Style) string {
	known := []string{style.paint(healthInk(s.Target.Health), s.Target.Health) + " since " + since(e.Time, s.Target.Since)}
	add := func(format string, args ...any) { known = append(known, clean(fmt.Sprintf(format, args...))) }
	if s.Target.Trend != "" {
		add("%s", s.Target.Trend)
	}
	if s.Target.Why != "" {
		add("%s", s.Target.Why)
	}
	if s.Target.Damping > 1 {
		add("it has flapped, and needs %d passes to rise, %d times as many as usual", s.Target.Rise, s.Target.Damping)
	}
	if !s.Target.UpAt.IsZero() {
		add("up at %s at the earliest", style.clock(s.Target.UpAt))
	}
	if word := s.Target.Word; word != nil && word.Percent > 0 {
		add("asks for %d%% of its weight", word.Percent)
	}
	if s.Admin.State != "ready" {
		add("%s", adminWhy(s.Admin, e.Time))
	} else {
		add("%s", s.Admin.State)
	}
	eligible := "not eligible"
	if s.Eligible {
		eligible = "eligible"
	}
	add("%s", eligible)
	add("weight %d", s.Weight)
	add("has %s, fair share %s", plurals(s.VIPs, "VIP"), number(s.Fair))
	return strings.Join(known, "; ")
}

// plurals is Plural for counts that may be broken.
func plurals(n float64, noun string) string {
	if number(n) == "1" {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

func writeRouterAnswers(b *strings.Builder, e *api.Explanation, style Style) {
	t := newTable("ROUTER", "STATE", "SENDS IT TO", "NEXT HOP", "WHY")
	for _, answer := range e.Routers {
		for _, route := range answer.Routes {
			state, ink := "in sync", good
			if !answer.InSync {
				state, ink = "not in sync", bad
			}
			t.add(cell{text: answer.Router}, cell{state, ink}, cell{text: place(route)}, cell{text: strings.Join(route.NextHops, ", ")}, cell{text: answer.Problem})
		}
	}
	t.write(b, style, "")
}
