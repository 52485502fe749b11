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

// write writes the rows, each after indent. Where the terminal is too narrow,
// all rows go on below after the same column, and what ends a line is folded.
func (t *table) write(b *strings.Builder, style Style, indent string) {
	spots := t.spots(style.Width, len(indent))
	for _, row := range t.rows {
		b.WriteString(indent)
		at := len(indent)
		for i, c := range row {
			if spots[i].below {
				b.WriteByte('\n')
				at = 0
			}
			b.WriteString(strings.Repeat(" ", spots[i].start-at))
			at = spots[i].start
			for j, part := range style.fold(c.text, at, at) {
				if j > 0 {
					b.WriteString("\n" + strings.Repeat(" ", at))
				}
				b.WriteString(style.paint(c.ink, part))
			}
			at += columns(c.text) // only at the end of a line does it take several
		}
		b.WriteByte('\n')
	}
}

// A spot is where a column starts.
type spot struct {
	start int
	below bool // on a line of its own or of the next ones
}

// lastColumn is what the last column gets at least, to be folded in: it has
// the long texts.
const lastColumn = 32

// spots lays the columns out in width; 0 has room for all.
func (t *table) spots(width, indent int) []spot {
	widths := t.widths()
	spots := make([]spot, len(widths))
	at := indent
	for i, wide := range widths {
		need := wide
		if i == len(widths)-1 {
			need = min(wide, lastColumn)
		}
		if i > 0 && width > 0 && at+need > width {
			spots[i].below = true
			at = indent + hang
		}
		spots[i].start = at
		at += wide + 2
	}
	return spots
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
