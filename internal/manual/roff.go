package manual

import (
	"fmt"
	"strings"
)

// A page is a man page under way, in the macros of man(7).
type page struct{ strings.Builder }

// newPage starts a page: its name, its section, and what its foot says.
func newPage(name string, section int, about string) *page {
	p := &page{}
	fmt.Fprintf(p, ".TH %s %d \"\" routesteer \"%s\"\n", strings.ToUpper(dashes(name)), section, about)
	p.WriteString(".nh\n.ad l\n") // no hyphens in what people type, no holes in lines
	return p
}

func (p *page) section(title string) { fmt.Fprintf(p, ".SH %s\n", strings.ToUpper(title)) }

func (p *page) subsection(title string) { fmt.Fprintf(p, ".SS %s\n", escape(title)) }

// text writes paragraphs, which empty lines part. Indented lines stay as they are.
func (p *page) text(text string) {
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		filled, kept, _ := strings.Cut("\n"+paragraph, "\n  ")
		if filled != "" {
			p.WriteString(".PP\n" + lines(filled))
		}
		if kept != "" {
			p.example("  " + kept)
		}
	}
}

// item writes a term and below it what it means. Each part of the meaning is
// a line of its own.
func (p *page) item(term string, meaning ...string) {
	fmt.Fprintf(p, ".TP\n%s\n", bold(term))
	for i, part := range meaning {
		if i > 0 {
			p.WriteString(".br\n")
		}
		p.WriteString(lines(part))
	}
}

// example writes lines as they are typed.
func (p *page) example(text string) {
	p.WriteString(".PP\n.RS 4\n.EX\n")
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		p.WriteString(guard(escape(strings.TrimPrefix(line, "  "))) + "\n")
	}
	p.WriteString(".EE\n.RE\n")
}

// lines writes words that are filled, from text whose lines end anywhere.
func lines(text string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		b.WriteString(guard(escape(strings.TrimSpace(line))) + "\n")
	}
	return b.String()
}

func bold(text string) string { return `\fB` + escape(text) + `\fP` }

// escape makes of characters that mean something to roff what they look like,
// and names those that are not ASCII (groff_char(7)).
func escape(text string) string {
	var b strings.Builder
	for _, r := range dashes(strings.ReplaceAll(text, `\`, `\e`)) {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, `\[u%04X]`, r)
	}
	return b.String()
}

// dashes keeps hyphens what is typed: roff would make typographic ones of them.
func dashes(text string) string { return strings.ReplaceAll(text, "-", `\-`) }

// guard keeps a line from being a request.
func guard(line string) string {
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		return `\&` + line
	}
	return line
}
