package show

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
)

// What is listed at the most; the rest is counted.
const (
	mostMoves = 20
	mostLoads = 20
)

// Simulation writes what would become of a site: a line that sums it up, then
// each step, then losses.
func Simulation(s *api.Simulation, style Style) string {
	var b strings.Builder
	style.line(&b, "", source(s))
	style.line(&b, "", verdict(s, style))
	writeSituation(&b, s.Start, nil, style)
	before := s.Start
	for i, step := range s.Steps {
		b.WriteByte('\n')
		writeStep(&b, i+1, step, before, style)
		before = step.Situation
	}
	for _, losses := range s.Losses {
		b.WriteByte('\n')
		writeLosses(&b, losses, s.Capacity, style)
	}
	return b.String()
}

// DryRun writes what a drain or undrain would do.
func DryRun(s *api.Simulation, style Style) string {
	var b strings.Builder
	for _, step := range s.Steps {
		style.line(&b, "", fmt.Sprintf("%s would move %s; nothing is changed", clean(step.Step), Plural(step.Moved, "VIP")))
		writeMoves(&b, step, style)
		writeSituation(&b, step.Situation, s.Start.Load, style)
	}
	return b.String()
}

// source says with what a simulation began.
func source(s *api.Simulation) string {
	from := "all servers up, every VIP where it belongs"
	if s.Live {
		from = "as it is now"
	}
	return fmt.Sprintf("%s, %s: %s, %s", clean(s.File), from, Plural(len(s.Start.Load), "server"), Plural(s.VIPs, "VIP"))
}

// verdict sums a simulation up.
func verdict(s *api.Simulation, style Style) string {
	when := "at the end"
	if len(s.Steps) == 0 {
		when = "now"
	}
	if without := count(s.End().Unserved); without > 0 {
		return style.paint(bad, fmt.Sprintf("%s without a server %s", Plural(without, "VIP"), when))
	}
	if over := overloaded(s.End().Load); len(over) > 0 {
		return style.paint(doubtful, "every VIP has a server "+when) + fmt.Sprintf("; overloaded: %s", few(over))
	}
	return style.paint(good, "every VIP has a server "+when)
}

func count(unserved []api.Unserved) int {
	n := 0
	for _, u := range unserved {
		n += max(1, u.VIPs)
	}
	return n
}

func overloaded(loads []api.ServerLoad) []string {
	var names []string
	for _, load := range loads {
		if load.Overloaded {
			names = append(names, load.Server)
		}
	}
	return names
}

func writeStep(b *strings.Builder, number int, step api.SimulatedStep, before api.Situation, style Style) {
	moved := "nothing moves"
	if step.Moved == 1 {
		moved = "1 VIP moves"
	} else if step.Moved > 1 {
		moved = fmt.Sprintf("%d VIPs move", step.Moved)
	}
	style.line(b, "", style.paint(bold, fmt.Sprintf("%d. %s", number, clean(step.Step)))+fmt.Sprintf(" (at %s): %s", age(step.At), moved))
	writeMoves(b, step, style)
	if len(step.Refused) > 0 {
		style.line(b, "  ", style.paint(bad, "it would be refused without --force")+": no other server can carry "+few(step.Refused))
	}
	writeSituation(b, step.Situation, before.Load, style)
}

// age is an offset as people say it.
func age(offset string) string {
	d, err := time.ParseDuration(offset)
	if err != nil {
		return clean(offset)
	}
	return Age(d)
}

// writeMoves lists the moves, of those that are alike the first.
func writeMoves(b *strings.Builder, step api.SimulatedStep, style Style) {
	t := newTable()
	alike := step.Moves
	if len(alike) > mostMoves {
		alike = fold(alike)
	}
	listed := 0
	for _, move := range alike[:min(mostMoves, len(alike))] {
		why := move.Reason
		if move.At != step.At {
			why = "at " + age(move.At) + ": " + why
		}
		listed += max(1, move.VIPs)
		t.add(cells(vipLabel(several(move.VIP, move.VIPs), move.Name), whereTo(move.Move), "("+why+")")...)
	}
	t.write(b, style, "  ")
	if more := step.Moved - listed; more > 0 {
		style.line(b, "  ", fmt.Sprintf("and %s more; -o json has them", Plural(more, "VIP")))
	}
}

// fold makes one of the moves that are alike but for the VIP, those of most VIPs
// first.
func fold(moves []api.SimulatedMove) []api.SimulatedMove {
	place := map[string]int{}
	var folded []api.SimulatedMove
	for _, move := range moves {
		key := strings.Join([]string{move.At, strings.Join(move.From, ","), strings.Join(move.To, ","), move.Reason}, "|")
		move.VIPs = max(1, move.VIPs)
		if at, known := place[key]; known {
			folded[at].VIPs += move.VIPs
			continue
		}
		place[key] = len(folded)
		folded = append(folded, move)
	}
	slices.SortStableFunc(folded, func(a, b api.SimulatedMove) int { return cmp.Compare(b.VIPs, a.VIPs) })
	for i := range folded {
		if folded[i].VIPs == 1 {
			folded[i].VIPs = 0
		} else {
			folded[i].Name = ""
		}
	}
	return folded
}

// writeSituation writes what servers carry, and which VIPs have none. With what
// they carried before, it says how much more or less that is.
func writeSituation(b *strings.Builder, s api.Situation, before []api.ServerLoad, style Style) {
	if !slices.Equal(s.Load, before) {
		b.WriteByte('\n')
		writeLoads(b, s.Load, before, style)
	}
	if s.Frozen != "" {
		style.line(b, "  ", style.paint(bad, "frozen")+": "+clean(s.Frozen))
	}
	for i, u := range s.Unserved {
		if i == mostMoves {
			style.line(b, "  ", fmt.Sprintf("and %s more without a server", Plural(count(s.Unserved[i:]), "VIP")))
			break
		}
		style.line(b, "  ", style.paint(bad, "without a server")+": "+clean(vipLabel(several(u.VIP, u.VIPs), u.Name))+": "+clean(u.Why))
	}
}

// writeLoads lists servers: all of few, or of many those that have most to say.
func writeLoads(b *strings.Builder, loads, before []api.ServerLoad, style Style) {
	was := map[string]float64{}
	for _, load := range before {
		was[load.Server] = load.VIPs
	}
	change := func(l api.ServerLoad) float64 {
		if before == nil {
			return 0
		}
		return l.VIPs - was[l.Server]
	}
	heading := []string{"SERVER", "STATE", "VIPS", "FAIR SHARE", "CHANGE", "NOTE"}
	if before == nil {
		heading = slices.Delete(heading, 4, 5)
	}
	t := newTable(heading...)
	for _, load := range most(loads, change) {
		note, ink := "", plain
		if load.Overloaded {
			note, ink = fmt.Sprintf("overloaded: more than %s", number(load.Most)), bad
		}
		row := append(cells(load.Server, load.State, number(load.VIPs), number(load.Fair)), cell{note, ink})
		if before != nil {
			row = slices.Insert(row, 4, cell{text: signed(change(load))})
		}
		t.add(row...)
	}
	t.write(b, style, "  ")
	if more := len(loads) - mostLoads; more > 0 {
		style.line(b, "  ", fmt.Sprintf("and %s more; -o json has them", Plural(more, "server")))
	}
}

// most are the loads that are listed.
func most(loads []api.ServerLoad, change func(api.ServerLoad) float64) []api.ServerLoad {
	if len(loads) <= mostLoads {
		return loads
	}
	loads = slices.Clone(loads)
	slices.SortStableFunc(loads, func(a, b api.ServerLoad) int {
		return cmp.Or(cmp.Compare(rank(b), rank(a)), cmp.Compare(math.Abs(change(b)), math.Abs(change(a))), cmp.Compare(b.VIPs, a.VIPs))
	})
	return loads[:mostLoads]
}

func rank(l api.ServerLoad) int {
	switch {
	case l.Overloaded:
		return 2
	case l.State != "in service":
		return 1
	default:
		return 0
	}
}

// number writes a count that may be broken.
func number(x float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", x), ".0")
}

func signed(x float64) string {
	text := number(x)
	switch {
	case text == "0" || text == "-0":
		return ""
	case x > 0:
		return "+" + text
	default:
		return text
	}
}
