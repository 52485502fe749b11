package show

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/routesteer/routesteer/api"
)

// A Top is what routesteer top shows besides the status.
type Top struct {
	Events []api.Event    // the last ones, oldest first
	Most   map[string]int // connections that a transition left at the most, by TransitionKey
	Filter string         // only rows that have it; "" for all
}

// TransitionKey tells transitions apart.
func TransitionKey(t api.Transition) string { return t.Router + " " + t.VIP }

// Picture draws the site: servers with their share of it, where each VIP's
// traffic flows, moves under way, routers, and what an operator should look at. It
// has as many lines as there is to show.
func Picture(s *api.Status, top Top, style Style) string {
	var b strings.Builder
	style.line(&b, "", Headline(s, style))
	for _, part := range []*table{loadTable(s, top), flowTable(s, top), movesTable(s, top), routersTable(s, top)} {
		if len(part.rows) > 1 {
			b.WriteByte('\n')
			part.write(&b, style, "")
		}
	}
	writeWarnings(&b, s, style)
	return b.String()
}

// LastEvents writes the end of the events, one line each, of those that have the
// filter's word.
func LastEvents(top Top, most int, style Style) []string {
	var lines []string
	for _, event := range top.Events {
		if line := Event(event, style); matches(line, top.Filter) {
			lines = append(lines, cut(line, style.Width))
		}
	}
	return lines[max(0, len(lines)-most):]
}

// loadTable has a bar for each server: its share of the VIPs' prefixes.
func loadTable(s *api.Status, top Top) *table {
	t := newTable("SERVER", "HEALTH", "ADMIN", "SHARE OF ALL PREFIXES", "WHY")
	load, all := loads(s)
	for _, server := range s.Servers {
		row := []cell{
			{text: server.Name},
			{server.Health, healthInk(server.Health)},
			{server.Admin.State, adminInk(server.Admin)},
			{fmt.Sprintf("%s %3.0f%%", shareBar(load[server.Name], all), 100*load[server.Name]/max(all, 1)), healthInk(server.Health)},
			{text: serverWhy(server, s.Time)},
		}
		t.addMatching(top.Filter, row)
	}
	return t
}

// loads counts prefixes by server: one that several share counts by halves.
func loads(s *api.Status) (load map[string]float64, all float64) {
	load = map[string]float64{}
	for _, vip := range s.VIPs {
		prefixes := float64(max(1, len(vip.Prefixes)))
		all += prefixes
		for _, server := range vip.Wanted {
			load[server] += prefixes / float64(len(vip.Wanted))
		}
	}
	return load, all
}

// shareBar is never empty where there is something, nor full where something
// is elsewhere.
func shareBar(part, all float64) string {
	filled := int(barWidth*part/max(all, 1) + 0.5)
	switch {
	case part > 0 && filled == 0:
		filled = 1
	case part < all && filled == barWidth:
		filled--
	}
	return "[" + strings.Repeat("#", filled) + strings.Repeat(".", barWidth-filled) + "]"
}

// flowTable draws where each VIP's traffic goes.
func flowTable(s *api.Status, top Top) *table {
	t := newTable("VIP", "FLOW", "SERVERS", "STATE", "SINCE", "WHY")
	for _, vip := range s.VIPs {
		state, ink := vipState(s, vip)
		row := []cell{
			{text: vipLabel(several(vip.Prefix, len(vip.Prefixes)), vip.Name)},
			{arrow(state), ink},
			{text: whereNow(vip.Routes)},
			{state, ink},
			{text: since(s.Time, vip.Since)},
			{text: vipWhy(vip, s.Time)},
		}
		t.addMatching(top.Filter, row)
	}
	return t
}

// arrow says how well the traffic flows, also to who sees no colours.
func arrow(state string) string {
	switch state {
	case "ok":
		return "═══▶"
	case "NO SERVER":
		return "──✕ "
	default:
		return "┄┄┄▶"
	}
}

func movesTable(s *api.Status, top Top) *table {
	t := newTable("MOVING", "ROUTER", "FROM", "TO", "CONNECTIONS ENDED", "LEFT", "ENDS")
	for _, transition := range s.Transitions {
		row := append(cells(vipLabel(transition.VIP, transition.Name), transition.Router, servers(transition.From), servers(transition.To)),
			cell{text: bar(Progress{Transition: transition, Most: top.Most[TransitionKey(transition)]})},
			cell{text: fmt.Sprint(transition.Connections())},
			cell{text: whenOver(transition, s.Time)})
		t.addMatching(top.Filter, row)
	}
	return t
}

func routersTable(s *api.Status, top Top) *table {
	all := routerTable(s.Routers, s.Time)
	t := &table{rows: all.rows[:1]}
	for _, row := range all.rows[1:] {
		t.addMatching(top.Filter, row)
	}
	return t
}

// addMatching adds a row that has the word in one of its cells.
func (t *table) addMatching(word string, row []cell) {
	var texts []string
	for _, c := range row {
		texts = append(texts, c.text)
	}
	if matches(strings.Join(texts, " "), word) {
		t.add(row...)
	}
}

func matches(text, word string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(word))
}

// cut ends a line where the terminal does; 0 leaves it whole.
func cut(line string, width int) string {
	if width <= 0 || columns(line) <= width {
		return line
	}
	for columns(line) > width-1 {
		_, size := utf8.DecodeLastRuneInString(line)
		line = line[:len(line)-size]
	}
	return line + "…"
}
