package lab

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Figures is what happened in a window, over all VIPs.
type Figures struct {
	Requests, Failed int // HTTP requests started, and those without the right answer
	Packets, Lost    int // UDP packets sent, and those not echoed rightly
	Wrong            int // of Failed and Lost: an answer came, a wrong one
	Late             int // requests and packets started over 5 ms late: the generator's own fault
	Results          map[Result]int
	Outage           time.Duration // of HTTP, the longest of the VIPs
	Recovered        bool          // no outage, or the requests after it succeeded
	VIPs             []VIPFigures  // by VIP, those with samples
	Failures         []Sample      // the failed requests, in no order
	Connections      Connections   // the established ones
	Span             time.Duration

	samples []Sample
}

// VIPFigures is what happened to one VIP.
type VIPFigures struct {
	VIP              int // index in the site
	Requests, Failed int
	Packets, Lost    int
	// Outage is from the start of the first failed request to the start of the
	// first of the lasting successes. Without such a success it is to the end of
	// the window, and Recovered is false.
	Outage    time.Duration
	Recovered bool
	Answers   []Tenure // who answered requests, in order of first answers
}

// A Tenure is the time from a server's first answer to its last, by the start
// of the requests.
type Tenure struct {
	Server      int // index in the site
	First, Last time.Time
	Answers     int
}

// figure computes the figures of samples, in any order.
func figure(samples []Sample, from, to time.Time) Figures {
	all := Figures{Results: map[Result]int{}, Recovered: true, Span: to.Sub(from), samples: samples}
	byVIP := map[int][]Sample{}
	for _, s := range samples {
		byVIP[s.VIP] = append(byVIP[s.VIP], s)
		all.Results[s.Result]++
		if s.Kind == HTTP && s.Result != OK {
			all.Failures = append(all.Failures, s)
		}
		if s.Result == Wrong {
			all.Wrong++
		}
		if s.Late > lateLimit {
			all.Late++
		}
	}
	for vip, samples := range byVIP {
		f := figureVIP(vip, samples, to)
		all.Requests, all.Failed = all.Requests+f.Requests, all.Failed+f.Failed
		all.Packets, all.Lost = all.Packets+f.Packets, all.Lost+f.Lost
		all.Outage, all.Recovered = max(all.Outage, f.Outage), all.Recovered && f.Recovered
		all.VIPs = append(all.VIPs, f)
	}
	slices.SortFunc(all.VIPs, func(a, b VIPFigures) int { return cmp.Compare(a.VIP, b.VIP) })
	return all
}

func figureVIP(vip int, samples []Sample, to time.Time) VIPFigures {
	f := VIPFigures{VIP: vip}
	var first, last time.Time // starts of failed requests
	tenures := map[int]*Tenure{}
	for _, s := range samples {
		switch {
		case s.Kind.kept():
		case s.Kind == UDP:
			f.Packets++
			if s.Result != OK {
				f.Lost++
			}
		case s.Result == OK:
			f.Requests++
			addAnswer(tenures, s)
		default:
			f.Requests++
			f.Failed++
			first, last = earlier(first, s.Start), later(last, s.Start)
		}
	}
	for _, t := range tenures {
		f.Answers = append(f.Answers, *t)
	}
	slices.SortFunc(f.Answers, func(a, b Tenure) int { return a.First.Compare(b.First) })
	f.Outage, f.Recovered = outage(samples, first, last, to)
	return f
}

// outage measures from the first failure to the first success after the last.
func outage(samples []Sample, first, last, to time.Time) (time.Duration, bool) {
	if first.IsZero() {
		return 0, true
	}
	var recovered time.Time
	for _, s := range samples {
		if s.Kind == HTTP && s.Result == OK && s.Start.After(last) {
			recovered = earlier(recovered, s.Start)
		}
	}
	if recovered.IsZero() {
		return to.Sub(first), false
	}
	return recovered.Sub(first), true
}

func addAnswer(tenures map[int]*Tenure, s Sample) {
	t := tenures[s.Server]
	if t == nil {
		t = &Tenure{Server: s.Server}
		tenures[s.Server] = t
	}
	t.First, t.Last = earlier(t.First, s.Start), later(t.Last, s.Start)
	t.Answers++
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// VIP returns the figures of one VIP; zero if it had no traffic.
func (f Figures) VIP(index int) VIPFigures {
	for _, v := range f.VIPs {
		if v.VIP == index {
			return v
		}
	}
	return VIPFigures{VIP: index, Recovered: true}
}

// cutSlack is how much later than it happened a route's change may have been
// read from the kernel.
const cutSlack = 10 * time.Millisecond

// Cut counts the failed requests that were under way on a VIP when its route
// changed, and were reset: the connection was opened to one server, and the
// rest of it went to another, which knows nothing of it. They are among
// Failed, but a connection opened after the move is another matter.
func (f Figures) Cut(site Site, changes []RouteChange) int {
	cut := 0
	for _, s := range f.Failures {
		hit := func(c RouteChange) bool {
			return c.Prefix == site.VIPs[s.VIP].Prefix && s.Start.Before(c.At) && s.Start.Add(s.Took+cutSlack).After(c.At)
		}
		if s.Result == Reset && slices.ContainsFunc(changes, hit) {
			cut++
		}
	}
	return cut
}

// Elsewhere counts the failed requests to VIPs of other servers than those
// that something was done to.
func (f Figures) Elsewhere(site Site, servers ...string) int {
	failed := 0
	for _, v := range f.VIPs {
		if !slices.Contains(servers, site.VIPs[v.VIP].Primary) {
			failed += v.Failed
		}
	}
	return failed
}

// Clean reports whether nothing failed and nothing was lost.
func (f Figures) Clean() bool { return f.Failed == 0 && f.Lost == 0 }

// String says the figures in one line.
func (f Figures) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d requests failed, %d of %d packets lost", f.Failed, f.Requests, f.Lost, f.Packets)
	if f.Outage > 0 {
		fmt.Fprintf(&b, ", outage %.0f ms", float64(f.Outage.Microseconds())/1000)
	}
	if !f.Recovered {
		b.WriteString(" and not over")
	}
	if f.Connections.Established() > 0 {
		fmt.Fprintf(&b, ", %s", f.Connections)
	}
	return b.String()
}
