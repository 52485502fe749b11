package show

import "strings"

// A cell is one field of a table.
type cell struct {
	text string
	ink  ink
}

// cells makes plain cells.
func cells(texts ...string) []cell {
	row := make([]cell, len(texts))
	for i, text := range texts {
		row[i] = cell{text: text}
	}
	return row
}

// A table aligns its rows in columns. The standard library's tabwriter counts
// escape sequences and wide characters wrongly.
type table struct {
	rows [][]cell
}

// newTable starts a table with a heading.
func newTable(heading ...string) *table {
	t := &table{}
	if len(heading) == 0 {
		return t
	}
	row := cells(heading...)
	for i := range row {
		row[i].ink = bold
	}
	t.add(row...)
	return t
}

// add appends a row. An empty cell is shown as "-", except at the end of a
// row.
func (t *table) add(row ...cell) {
	for i := range row {
		row[i].text = clean(row[i].text)
	}
	for len(row) > 0 && row[len(row)-1].text == "" {
		row = row[:len(row)-1]
	}
	for i := range row {
		if row[i].text == "" {
			row[i].text = "-"
		}
	}
	t.rows = append(t.rows, row)
}

// write writes the rows, each after indent.
func (t *table) write(b *strings.Builder, style Style, indent string) {
	widths := t.widths()
	for _, row := range t.rows {
		b.WriteString(indent)
		for i, c := range row {
			b.WriteString(style.paint(c.ink, c.text))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-columns(c.text)+2))
			}
		}
		b.WriteByte('\n')
	}
}

func (t *table) widths() []int {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], columns(c.text))
		}
	}
	return widths
}
