package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/routesteer/routesteer/api"
)

// SoakOptions says how to wait for nothing to happen.
type SoakOptions struct {
	Lab  Options       // a controller is a must
	For  time.Duration // default 10m
	Busy int           // processes that keep a core busy each; negative is one for each CPU
	Load LoadOptions   // default 20 connections/s to each VIP, 100 packets/s in all, none established
	Idle bool          // no load at all
}

// A Soak is what happened while nothing should have.
type Soak struct {
	Profile Profile `json:"profile"`
	Family  Family  `json:"family"`
	Servers int     `json:"servers"`
	VIPs    int     `json:"vips"`
	Seconds float64 `json:"seconds"`

	RouteChanges   int         `json:"route_changes"`   // of any VIP, as the kernel told
	VerdictChanges int         `json:"verdict_changes"` // as the controller told
	Events         []api.Event `json:"events"`          // all that the controller told; never null

	Requests       int      `json:"requests"`
	FailedRequests int      `json:"failed_requests"`
	PacketsSent    int      `json:"packets_sent"`
	PacketsLost    int      `json:"packets_lost"`
	Established    int      `json:"established"` // connections that the client kept
	Broken         int      `json:"broken_connections"`
	Exchanges      int      `json:"exchanges"` // requests on them
	WrongAnswers   int      `json:"wrong_answers"`
	Failures       []string `json:"failures"`      // the first ones, in words; never null
	LateRequests   int      `json:"late_requests"` // requests and packets that the generator started over 5 ms late
	LatestMs       float64  `json:"latest_ms"`     // the worst of them

	ControllerCPU  float64 `json:"controller_cpu_percent"` // of one core
	ControllerMiB  float64 `json:"controller_rss_mib"`     // resident, at the end
	ControllerPeak float64 `json:"controller_peak_mib"`    // resident, at most, from its start
	Busy           int     `json:"busy_processes"`
	BusyCPU        float64 `json:"busy_cpu_percent"` // of one core, all of them: proof that cores were busy
}

// NewSoak builds a lab, lets it run for a while on a busy machine under a
// light load, and returns what moved, was lost and was used. That something
// moved is no error of NewSoak, but of Soak.Moved.
func NewSoak(ctx context.Context, options SoakOptions, progress io.Writer) (soak Soak, err error) {
	if err := options.complete(); err != nil {
		return Soak{}, err
	}
	l, err := Start(ctx, options.Lab)
	if err != nil {
		return Soak{}, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := l.WaitReady(ctx); err != nil {
		return Soak{}, fmt.Errorf("lab soak: %w", err)
	}
	if _, err := fmt.Fprintf(progress, "Lab %d soaks for %s: profile %s, %s, %d servers, %d VIPs, %d busy processes.\n", l.ID,
		options.For, l.Profile, l.Site.Family, len(l.Site.Servers), len(l.Site.VIPs), options.Busy); err != nil {
		return Soak{}, err
	}
	w := &soaking{lab: l, options: options}
	if err := w.run(ctx); err != nil {
		return Soak{}, fmt.Errorf("lab soak: %w", err)
	}
	return w.soak, nil
}

func (o *SoakOptions) complete() error {
	if o.Lab.Controller == nil {
		return errors.New("lab soak: it needs a controller")
	}
	if o.For == 0 {
		o.For = 10 * time.Minute
	}
	if o.For < 0 {
		return fmt.Errorf("lab soak for %s: it must be longer than nothing", o.For)
	}
	if o.Busy < 0 {
		o.Busy = runtime.NumCPU()
	}
	if o.Load.Requests == 0 {
		o.Load.Requests = 20
	}
	if o.Load.Packets == 0 {
		o.Load.Packets = 100
	}
	if o.Idle && o.Load.Established > 0 {
		return fmt.Errorf("lab soak: %d established connections need a load", o.Load.Established)
	}
	return errors.Join(o.Lab.complete(), allowFiles(o.Load.Established))
}

// A soaking is a Soak while it runs.
type soaking struct {
	lab     *Lab
	options SoakOptions
	soak    Soak
}

func (w *soaking) run(ctx context.Context) (err error) {
	routes, err := w.lab.WatchRoutes()
	if err != nil {
		return err
	}
	defer routes.Close()
	last, err := w.lastEvent(ctx)
	if err != nil {
		return err
	}
	busy, err := w.lab.startBusy(w.options.Busy)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, killAll(busy)) }()
	load, count, err := w.startLoad(ctx)
	if err != nil {
		return err
	}
	if err := w.wait(ctx, busy); err != nil {
		return err
	}
	if load != nil {
		if err := load.Stop(); err != nil {
			return err
		}
	}
	return w.sum(ctx, routes, last, count)
}

// startLoad starts the client and counts all that it does; nil if there is
// to be none.
func (w *soaking) startLoad(ctx context.Context) (*Load, *tally, error) {
	if w.options.Idle {
		return nil, &tally{}, nil
	}
	load, err := w.lab.StartLoad(ctx, w.options.Load)
	if err != nil {
		return nil, nil, err
	}
	return load, load.tally(w.lab.Site), nil
}

// wait lets the time pass, and measures what the controller and the busy
// processes use meanwhile.
func (w *soaking) wait(ctx context.Context, busy []*process) error {
	processes := slices.Clone(busy)
	err := w.lab.withController(ctx, func(p *process) error {
		processes = append(processes, p)
		return nil
	})
	if err != nil {
		return err
	}
	before, err := usages(processes)
	if err != nil {
		return err
	}
	if err := pause(ctx, w.options.For); err != nil {
		return err
	}
	if err := w.lab.controllerLives(ctx); err != nil {
		return err
	}
	after, err := usages(processes)
	if err != nil {
		return err
	}
	n := len(busy)
	w.soak.Seconds = after[n].measuredAt.Sub(before[n].measuredAt).Seconds()
	w.soak.ControllerCPU = after[n].percent(before[n])
	w.soak.ControllerMiB, w.soak.ControllerPeak = after[n].rss, after[n].peak
	for i := range busy {
		w.soak.BusyCPU += after[i].percent(before[i])
	}
	return nil
}

func usages(processes []*process) ([]usage, error) {
	all := make([]usage, len(processes))
	for i, p := range processes {
		var err error
		if all[i], err = p.usage(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// lastEvent returns the sequence number of the controller's newest event.
func (w *soaking) lastEvent(ctx context.Context) (uint64, error) {
	last := uint64(0)
	for event, err := range w.lab.Operator.Events(ctx, api.EventsRequest{}) {
		if err != nil {
			return 0, fmt.Errorf("read the controller's events: %w", err)
		}
		last = event.Seq
	}
	return last, nil
}

// sum puts together what the client, the controller and the kernel saw.
func (w *soaking) sum(ctx context.Context, routes *RouteWatch, last uint64, count *tally) error {
	s := &w.soak
	changes, err := routes.Changes()
	if err != nil {
		return err
	}
	s.RouteChanges, s.Events = len(changes), []api.Event{}
	for event, err := range w.lab.Operator.Events(ctx, api.EventsRequest{Since: last}) {
		if err != nil {
			return fmt.Errorf("read the controller's events: %w", err)
		}
		if event.Kind == "verdict" {
			s.VerdictChanges++
		}
		s.Events = append(s.Events, event)
	}
	s.Profile, s.Family, s.Busy = w.lab.Profile, w.lab.Site.Family, w.options.Busy
	s.Servers, s.VIPs = len(w.lab.Site.Servers), len(w.lab.Site.VIPs)
	s.Requests, s.FailedRequests, s.PacketsSent, s.PacketsLost = count.requests, count.failed, count.packets, count.lost
	s.Established, s.Broken, s.Exchanges = w.options.Load.Established, count.broken, count.talks
	s.WrongAnswers, s.LateRequests, s.LatestMs = count.wrong, count.late, ms(count.latest)
	s.Failures = append([]string{}, count.failures...)
	return nil
}
