package show

import (
	"fmt"
	"strings"

	"github.com/routesteer/routesteer/api"
)

// mostLosses is how many losses of a kind are listed; the rest is counted.
const mostLosses = 10

// lossWords says what was tried.
func lossWords(atOnce int) string {
	if atOnce == 1 {
		return "every server, one at a time"
	}
	return "every two servers at once (told is what neither of them brings alone)"
}

func writeLosses(b *strings.Builder, l api.Losses, capacity int, style Style) {
	style.line(b, "", style.paint(bold, "the loss of "+lossWords(l.AtOnce))+fmt.Sprintf(": %d tried", l.Tried))
	if l.Tried < l.Possible {
		style.line(b, "  ", style.paint(bad, fmt.Sprintf("%d were not tried", l.Possible-l.Tried))+": there was no time; those of servers with most VIPs came first (see --limit)")
	}
	t := newTable()
	t.add(cell{fmt.Sprint(l.Strand), inkIf(l.Strand > 0, bad)}, cell{text: "would leave VIPs without a server"})
	t.add(cell{fmt.Sprint(l.Overload), inkIf(l.Overload > 0, doubtful)}, cell{text: "would overload a server: " + limitText(capacity)})
	t.add(cell{fmt.Sprint(l.Harmless), plain}, cell{text: "would do neither"})
	t.write(b, style, "  ")
	writeStranding(b, l, style)
	writeOverloading(b, l, style)
}

func inkIf(is bool, i ink) ink {
	if is {
		return i
	}
	return plain
}

func limitText(capacity int) string {
	if capacity > 0 {
		return fmt.Sprintf("more than %s", Plural(capacity, "VIP"))
	}
	return "more than 1.25 times its fair share, and one"
}

func writeStranding(b *strings.Builder, l api.Losses, style Style) {
	if len(l.Stranding) == 0 {
		return
	}
	t := newTable("LOST", "WITHOUT A SERVER", "WHICH")
	for _, loss := range l.Stranding[:min(mostLosses, len(l.Stranding))] {
		which := few(loss.Unserved)
		if loss.Frozen != "" {
			which += ": " + loss.Frozen
		}
		t.add(cells(strings.Join(loss.Servers, " + "), Plural(loss.VIPs, "VIP"), which)...)
	}
	b.WriteByte('\n')
	t.write(b, style, "  ")
	writeRest(b, l.Strand, style)
}

func writeOverloading(b *strings.Builder, l api.Losses, style Style) {
	if len(l.Overloading) == 0 {
		return
	}
	t := newTable("LOST", "OVERLOADED", "WORST")
	for _, loss := range l.Overloading[:min(mostLosses, len(l.Overloading))] {
		worst := loss.Overloaded[0]
		t.add(cells(strings.Join(loss.Servers, " + "), Plural(loss.Over, "server"),
			fmt.Sprintf("%s would have %s VIPs, its fair share is %s", worst.Server, number(worst.VIPs), number(worst.Fair)))...)
	}
	b.WriteByte('\n')
	t.write(b, style, "  ")
	writeRest(b, l.Overload, style)
}

func writeRest(b *strings.Builder, all int, style Style) {
	if more := all - mostLosses; more > 0 {
		style.line(b, "  ", fmt.Sprintf("and %d more; -o json has the worst 1000", more))
	}
}
