package lab

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// String says one run in a line.
func (r Row) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-15s %s %d: outage %s ms, %d of %d requests failed, %d of %d packets lost",
		r.Fault, r.Profile, r.Repeat, number(r.OutageMs), r.FailedRequests, r.Requests, r.PacketsLost, r.PacketsSent)
	if r.CutRequests > 0 {
		fmt.Fprintf(&b, ", %d of the requests under way when the route moved", r.CutRequests)
	}
	if r.DetectMs != nil {
		fmt.Fprintf(&b, ", verdict after %s ms", number(*r.DetectMs))
	}
	if r.ApplyMs != nil {
		fmt.Fprintf(&b, ", route after %s ms more", number(*r.ApplyMs))
	}
	if r.Established > 0 {
		fmt.Fprintf(&b, ", %d of %d established connections broke", r.BrokenConnections, r.Established+r.Opened)
	}
	if r.LastNewOnOldMs != nil {
		fmt.Fprintf(&b, ", last new connection on the old server after %s ms", number(*r.LastNewOnOldMs))
	}
	if !r.Recovered {
		b.WriteString(", NOT RECOVERED")
	}
	if r.WrongAnswers > 0 {
		fmt.Fprintf(&b, ", %d WRONG ANSWERS", r.WrongAnswers)
	}
	if r.TooBusy() {
		fmt.Fprintf(&b, " (%d started late: this machine was too busy to measure)", r.LateRequests)
	}
	return b.String()
}

// TooBusy reports whether the machine had so little time for the generator
// that losses may be the machine's own.
func (r Row) TooBusy() bool { return r.LateRequests*100 > r.Requests+r.PacketsSent+r.Exchanges }

// WriteTable writes rows for people: for each fault and profile the median of
// the runs, and for the outage also least and most.
func WriteTable(w io.Writer, rows []Row) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "fault\tprofile\truns\toutage ms\tleast\tmost\tfailed\trequests\tlost\tpackets\tbroken\testablished\tdetect ms\tapply ms\tnew on old ms\troute changes\tlate\t")
	for _, group := range groups(rows) {
		column := func(of func(Row) float64) []float64 {
			return values(group, func(r Row) *float64 { v := of(r); return &v })
		}
		outage := column(func(r Row) float64 { return r.OutageMs })
		mark := ""
		if slices.ContainsFunc(group, func(r Row) bool { return !r.Recovered }) {
			mark = ">"
		}
		fmt.Fprintf(table, "%s\t%s\t%d"+strings.Repeat("\t%s", 14)+"\t\n",
			group[0].Fault, group[0].Profile, len(group),
			mark+median(outage), number(outage[0]), mark+number(outage[len(outage)-1]),
			median(column(func(r Row) float64 { return float64(r.FailedRequests) })),
			median(column(func(r Row) float64 { return float64(r.Requests) })),
			median(column(func(r Row) float64 { return float64(r.PacketsLost) })),
			median(column(func(r Row) float64 { return float64(r.PacketsSent) })),
			median(column(func(r Row) float64 { return float64(r.BrokenConnections) })),
			median(column(func(r Row) float64 { return float64(r.Established + r.Opened) })),
			median(values(group, func(r Row) *float64 { return r.DetectMs })),
			median(values(group, func(r Row) *float64 { return r.ApplyMs })),
			median(values(group, func(r Row) *float64 { return r.LastNewOnOldMs })),
			median(column(func(r Row) float64 { return float64(r.RouteChanges) })),
			median(column(func(r Row) float64 { return float64(r.LateRequests) })))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// groups puts rows of the same fault and profile together, in order of first
// appearance.
func groups(rows []Row) [][]Row {
	type key struct {
		fault   string
		profile Profile
	}
	at := map[key]int{}
	var all [][]Row
	for _, r := range rows {
		k := key{r.Fault, r.Profile}
		i, ok := at[k]
		if !ok {
			i = len(all)
			at[k] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], r)
	}
	return all
}

// values returns a column's values that exist, sorted.
func values(rows []Row, of func(Row) *float64) []float64 {
	var list []float64
	for _, r := range rows {
		if v := of(r); v != nil {
			list = append(list, *v)
		}
	}
	slices.SortFunc(list, cmp.Compare[float64])
	return list
}

// median writes the middle of sorted values, "-" if there are none.
func median(sorted []float64) string {
	n := len(sorted)
	switch {
	case n == 0:
		return "-"
	case n%2 == 1:
		return number(sorted[n/2])
	default:
		return number((sorted[n/2-1] + sorted[n/2]) / 2)
	}
}

// number writes whole numbers whole and small ones with a digit or two.
func number(v float64) string {
	switch {
	case v == float64(int64(v)):
		return fmt.Sprintf("%d", int64(v))
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.1f", v)
	}
}
