package show

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/routesteer/routesteer/api"
)

// What a matrix has at most before servers, or VIPs, that are alike share one
// line, or column.
const (
	matrixRows    = 16
	matrixColumns = 6
	matrixReasons = 16 // the others are for JSON
)

// Checks writes the outcome of checks done on request: of one server as a list,
// of several as a matrix of servers and VIPs, with the reasons below.
func Checks(results []api.CheckResult, style Style) string {
	m := newMatrix(results)
	if len(m.servers) <= 1 {
		return checkList(results, style)
	}
	var b strings.Builder
	t, columns := m.table()
	if len(t.rows) > 2*matrixRows || columns > 2*matrixColumns {
		m.coarse = true // an outage with several faces: its pattern matters more than they do
		t, _ = m.table()
	}
	t.write(&b, style, "")
	m.writeReasons(&b, style)
	return b.String()
}

func (m *matrix) writeReasons(b *strings.Builder, style Style) {
	for i, reason := range m.reasons[:min(len(m.reasons), matrixReasons)] {
		mark := fmt.Sprintf("FAILED %d:", i+1)
		if m.coarse {
			mark = "FAILED, " + Plural(m.times[i], "time") + ":"
		}
		style.line(b, "", style.paint(bad, mark)+" "+clean(reason))
	}
	if more := len(m.reasons) - matrixReasons; more > 0 {
		style.line(b, "", fmt.Sprintf("and %s; -o json has all", Plural(more, "other reason")))
	}
}

func checkList(results []api.CheckResult, style Style) string {
	var b strings.Builder
	t := newTable("SERVER", "VIP", "CHECK", "RESULT", "TOOK", "WHY")
	for _, r := range results {
		result := cell{"ok", good}
		if !r.OK {
			result = cell{"FAILED", bad}
		}
		t.add(cell{text: r.Server}, cell{text: r.VIP}, cell{text: r.Check}, result,
			cell{text: milliseconds(r.TookMs)}, cell{text: checkWhy(r)})
	}
	t.write(&b, style, "")
	return b.String()
}

func checkWhy(r api.CheckResult) string {
	if r.Hint == "" {
		return r.Failure
	}
	return r.Failure + ": " + r.Hint
}

// A matrix is the results by server and VIP. The reasons of failures are numbered.
type matrix struct {
	servers, vips []string // in the order of the results
	failed        map[[2]string]int
	checked       map[[2]string]bool
	reasons       []string
	times         []int // of each of reasons, how often
	coarse        bool  // failures are not told apart
}

func newMatrix(results []api.CheckResult) *matrix {
	m := &matrix{failed: map[[2]string]int{}, checked: map[[2]string]bool{}}
	servers, vips, reasons := map[string]bool{}, map[string]bool{}, map[string]int{}
	for _, r := range results {
		if !servers[r.Server] {
			servers[r.Server] = true
			m.servers = append(m.servers, r.Server)
		}
		if !vips[r.VIP] {
			vips[r.VIP] = true
			m.vips = append(m.vips, r.VIP)
		}
		at := [2]string{r.Server, r.VIP}
		m.checked[at] = true
		if r.OK {
			continue
		}
		why := checkWhy(r)
		if reasons[why] == 0 {
			m.reasons, m.times = append(m.reasons, why), append(m.times, 0)
			reasons[why] = len(m.reasons)
		}
		m.times[reasons[why]-1]++
		m.failed[at] = reasons[why]
	}
	return m
}

// text is what a cell says: "ok", "FAILED 1", or "-" where a server is in no tier.
func (m *matrix) text(server, vip string) string {
	at := [2]string{server, vip}
	switch {
	case m.failed[at] > 0 && m.coarse:
		return "FAILED"
	case m.failed[at] > 0:
		return "FAILED " + strconv.Itoa(m.failed[at])
	case m.checked[at]:
		return "ok"
	default:
		return "-"
	}
}

// table has a row for each server and a column for each VIP; those that are alike
// share one where there are many.
func (m *matrix) table() (t *table, width int) {
	rows := alike(m.servers, matrixRows, func(server string) string {
		return join(m.vips, func(vip string) string { return m.text(server, vip) })
	})
	columns := alike(m.vips, matrixColumns, func(vip string) string {
		return join(m.servers, func(server string) string { return m.text(server, vip) })
	})
	heading := []string{"SERVER"}
	for _, column := range columns {
		heading = append(heading, column.label())
	}
	t = newTable(heading...)
	for _, row := range rows {
		cells := []cell{{text: row.label()}}
		for _, column := range columns {
			text := m.text(row.first, column.first)
			cells = append(cells, cell{text, inkOf(text)})
		}
		t.add(cells...)
	}
	return t, len(columns)
}

func inkOf(text string) ink {
	switch text {
	case "ok":
		return good
	case "-":
		return faint
	default:
		return bad
	}
}

// A group is servers, or VIPs, that a matrix shows as one: the first, and how many
// more.
type group struct {
	first string
	more  int
}

func (g group) label() string {
	if g.more == 0 {
		return g.first
	}
	return fmt.Sprintf("%s and %d more", g.first, g.more)
}

// alike groups names that look the same, if there are more than most.
func alike(names []string, most int, look func(string) string) []group {
	var groups []group
	place := map[string]int{}
	for _, name := range names {
		key := name
		if len(names) > most {
			key = look(name)
		}
		at, known := place[key]
		if known {
			groups[at].more++
			continue
		}
		place[key] = len(groups)
		groups = append(groups, group{first: name})
	}
	return groups
}

func join(names []string, text func(string) string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString(text(name) + "|")
	}
	return b.String()
}
