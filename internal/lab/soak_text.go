package lab

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
)

// Moved returns an error that names what moved; nil if nothing did.
func (s Soak) Moved() error {
	if s.RouteChanges == 0 && s.VerdictChanges == 0 {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "lab soak: nothing should move, but %d routes and %d verdicts changed:", s.RouteChanges, s.VerdictChanges)
	if len(s.Events) == 0 {
		b.WriteString("\n  the controller knows of nothing: something else changed the routes")
	}
	for _, event := range s.Events {
		b.WriteString("\n  " + eventLine(event))
	}
	return errors.New(b.String())
}

// eventLine says one event in a line.
func eventLine(e api.Event) string {
	words := []string{e.Time.Format(time.TimeOnly + ".000"), e.Kind}
	for _, word := range []string{e.Server, e.VIP, e.Router} {
		if word != "" {
			words = append(words, word)
		}
	}
	if e.From != "" || e.To != "" {
		words = append(words, fmt.Sprintf("%q to %q", e.From, e.To))
	}
	if e.Reason != "" {
		words = append(words, "("+e.Reason+")")
	}
	return strings.Join(words, " ")
}

// String says the figures in some lines.
func (s Soak) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%.0f s, profile %s, %s, %d servers, %d VIPs\n", s.Seconds, s.Profile, s.Family, s.Servers, s.VIPs)
	fmt.Fprintf(&b, "moved       %d route changes, %d verdict changes\n", s.RouteChanges, s.VerdictChanges)
	if s.Requests+s.PacketsSent > 0 {
		fmt.Fprintf(&b, "client      %d of %d requests failed, %d of %d packets lost", s.FailedRequests, s.Requests, s.PacketsLost, s.PacketsSent)
		fmt.Fprintf(&b, "; %d started over 5 ms late, the latest %s ms\n", s.LateRequests, number(s.LatestMs))
	}
	if s.Established > 0 {
		fmt.Fprintf(&b, "established %d connections broke, of %d that made %d requests\n", s.Broken, s.Established, s.Exchanges)
	}
	fmt.Fprintf(&b, "controller  %.2f %% of one core, %.1f MiB resident, %.1f at most\n", s.ControllerCPU, s.ControllerMiB, s.ControllerPeak)
	if s.Busy > 0 {
		fmt.Fprintf(&b, "busy        %d processes used %.0f %% of one core\n", s.Busy, s.BusyCPU)
	}
	for _, failure := range s.Failures {
		fmt.Fprintf(&b, "  %s\n", failure)
	}
	return b.String()
}
