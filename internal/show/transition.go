package show

import (
	"fmt"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
)

// barWidth is how many characters the bar of a transition has.
const barWidth = 24

// A Progress is a transition as who waits for it sees it.
type Progress struct {
	api.Transition
	Most int // connections that it left at the most, as far as was seen
}

// Waiting writes the transitions that somebody waits for, a line each with a
// bar of the connections that have ended.
func Waiting(all []Progress, now time.Time, style Style) string {
	var b strings.Builder
	t := newTable("VIP", "ROUTER", "CONNECTIONS LEFT", "", "")
	for _, p := range all {
		t.add(
			cell{text: vipLabel(p.VIP, p.Name)},
			cell{text: p.Router},
			cell{text: bar(p)},
			cell{text: fmt.Sprint(p.Connections())},
			stateCell(p.Transition, now),
		)
	}
	t.write(&b, style, "  ")
	return b.String()
}

// bar is full when no connection is left.
func bar(p Progress) string {
	done := barWidth
	if left := p.Connections(); left > 0 {
		done = barWidth * (max(p.Most, left) - left) / max(p.Most, left)
		done = min(done, barWidth-1)
	}
	return "[" + strings.Repeat("#", done) + strings.Repeat(".", barWidth-done) + "]"
}

func stateCell(t api.Transition, now time.Time) cell {
	if t.State == api.Ending {
		return cell{text: whenOver(t, now)}
	}
	if t.State == "idle" {
		return cell{t.State, good}
	}
	return cell{t.State, bad}
}

// whenOver says when a transition is over at the latest, or, once nobody is
// heard of, when that is certain.
func whenOver(t api.Transition, now time.Time) string {
	if t.Connections() > 0 {
		return "at most " + Age(t.Until.Sub(now)) + " more"
	}
	if wait := t.IdleAt.Sub(now); wait > 0 {
		return "none heard of; certain in " + Age(wait)
	}
	return "about to end"
}

// Waited says in one line how a wait ended.
func Waited(result string, left int) string {
	switch {
	case result == "idle":
		return "idle: no connection is left that is heard of"
	case left == 0:
		return result + ": no connection was heard of lately; silent ones, if any, are cut"
	default:
		return fmt.Sprintf("%s: %s left and cut", result, Plural(left, "connection"))
	}
}

func transitionTable(s *api.Status) *table {
	t := newTable("MOVING", "ROUTER", "FROM", "TO", "CONNECTIONS LEFT", "ENDS", "NOTE")
	for _, tr := range s.Transitions {
		why := ""
		if tr.Overflow > 0 {
			why = Plural(int(tr.Overflow), "connection") + " past flow_limit: they may have been cut"
		}
		t.add(cells(vipLabel(tr.VIP, tr.Name), tr.Router, servers(tr.From), servers(tr.To), leftWhere(tr), whenOver(tr, s.Time), why)...)
	}
	return t
}

// leftWhere says at which servers how many connections are left.
func leftWhere(t api.Transition) string {
	if len(t.Left) == 0 {
		return "0"
	}
	words := make([]string, len(t.Left))
	for i, left := range t.Left {
		words[i] = fmt.Sprintf("%d on %s", left.Connections, servers(left.Servers))
	}
	return strings.Join(words, ", ")
}
