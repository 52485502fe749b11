package show

import (
	"fmt"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
)

// Server writes all about one server, and the last events that concern it.
func Server(server api.Server, now time.Time, events []api.Event, style Style) string {
	var b strings.Builder
	style.line(&b, "", fmt.Sprintf("%s: %s since %s, %s", clean(server.Name),
		style.paint(healthInk(server.Health), server.Health), since(now, server.Since),
		style.paint(adminInk(server.Admin), server.Admin.State)))
	b.WriteByte('\n')

	facts := newTable()
	facts.add(cells("addresses", strings.Join(server.Addresses, ", "))...)
	facts.add(cells("weight", fmt.Sprint(server.Weight))...)
	facts.add(cells("echo", server.Echo)...)
	facts.add(cells("serves", servers(server.Serving))...)
	if server.Admin.State != "ready" {
		facts.add(cells(server.Admin.State, adminWhy(server.Admin, now))...)
	}
	if server.Why != "" {
		facts.add(cells("last failure", server.Why)...)
	}
	facts.write(&b, style, "  ")

	b.WriteByte('\n')
	var rows []row
	for _, target := range server.Targets {
		rows = append(rows, row{several(target.VIP, target.VIPs), target})
	}
	targetTable("VIP", rows, now).write(&b, style, "")
	writeEvents(&b, events, style)
	return b.String()
}

// A row is a target and what the table calls it: its other half.
type row struct {
	label  string
	target api.Target
}

func targetTable(heading string, rows []row, now time.Time) *table {
	t := newTable(heading, "CHECK", "HEALTH", "SINCE", "TREND", "LAST CHECK", "TOOK", "WHY")
	for _, row := range rows {
		target, took := row.target, ""
		if !target.LastCheck.IsZero() {
			took = milliseconds(target.TookMs)
		}
		t.add(
			cell{text: row.label},
			cell{text: target.Check},
			cell{target.Health, healthInk(target.Health)},
			cell{text: since(now, target.Since)},
			cell{text: target.Trend},
			cell{text: ago(now, target.LastCheck)},
			cell{text: took},
			cell{text: targetWhy(target)},
		)
		for _, m := range target.Members {
			t.add(cell{}, cell{text: "- " + m.Check}, cell{m.Health, healthInk(m.Health)}, cell{text: since(now, m.Since)},
				cell{text: m.Trend}, cell{}, cell{}, cell{text: m.Why})
		}
	}
	return t
}

// targetWhy is what is not as usual with a target: its failure, and what the
// server asks for itself.
func targetWhy(target api.Target) string {
	var why []string
	if target.Why != "" {
		why = append(why, target.Why)
	}
	switch word := target.Word; {
	case word == nil:
	case word.Leave:
		why = append(why, strings.TrimSuffix("asks to be drained: "+word.Text, ": "))
	case word.Percent > 0:
		why = append(why, fmt.Sprintf("asks for %d%% of its share", word.Percent))
	}
	return strings.Join(why, "; ")
}

// VIP writes all about one VIP of the site, and the last events that concern
// it.
func VIP(s *api.Status, vip api.VIP, events []api.Event, style Style) string {
	var b strings.Builder
	state, ink := vipState(s, vip)
	style.line(&b, "", fmt.Sprintf("%s: %s: now %s, wanted %s since %s", clean(vipLabel(several(vip.Prefix, len(vip.Prefixes)), vip.Name)),
		style.paint(ink, state), clean(whereNow(vip.Routes)), clean(servers(vip.Wanted)), since(s.Time, vip.Since)))
	b.WriteByte('\n')

	facts := newTable()
	facts.add(cells("why", vipWhy(vip, s.Time))...)
	if len(vip.Prefixes) > 1 {
		facts.add(cells("prefixes", few(vip.Prefixes))...)
	}
	if vip.MovesAs != "" {
		facts.add(cells("moves with", vip.MovesAs)...)
	}
	if vip.JudgedAs != "" {
		facts.add(cells("judged as", vip.JudgedAs)...)
	}
	facts.add(cells("addresses", strings.Join(vip.Addresses, ", "))...)
	facts.add(cells("mode", vip.Mode)...)
	for _, tier := range vip.Tiers {
		facts.add(cells(tier.Name, servers(tier.Servers))...)
	}
	facts.add(cells("eligible", servers(vip.Eligible))...)
	facts.write(&b, style, "  ")

	b.WriteByte('\n')
	targetTable("SERVER", rowsOf(s, judge(vip)), s.Time).write(&b, style, "")
	b.WriteByte('\n')
	routeTable(vip.Routes).write(&b, style, "")
	writeEvents(&b, events, style)
	return b.String()
}

// judge is the VIP under which a VIP's targets are told.
func judge(vip api.VIP) string {
	if vip.JudgedAs != "" {
		return vip.JudgedAs
	}
	return vip.Prefix
}

// rowsOf collects a judge's targets from its servers.
func rowsOf(s *api.Status, vip string) []row {
	var rows []row
	for _, server := range s.Servers {
		for _, target := range server.Targets {
			if target.VIP == vip {
				rows = append(rows, row{server.Name, target})
			}
		}
	}
	return rows
}

func routeTable(routes []api.Route) *table {
	t := newTable("ROUTER", "SENDS IT TO", "NEXT HOP", "OURS", "IN THE ROUTER'S WORDS")
	for _, route := range routes {
		ours := "yes"
		if route.Foreign || len(route.NextHops) == 0 {
			ours = "no"
		}
		t.add(cells(route.Router, place(route), strings.Join(route.NextHops, ", "), ours, route.Detail)...)
	}
	return t
}

func writeEvents(b *strings.Builder, events []api.Event, style Style) {
	if len(events) == 0 {
		return
	}
	b.WriteString("\n" + style.paint(bold, "LAST EVENTS") + "\n")
	for _, event := range events {
		style.line(b, "  ", Event(event, style))
	}
}
