package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
)

// ReportOptions says what to measure.
type ReportOptions struct {
	Lab    Options       // the lab to build for each run; its Links are the fault's
	Faults []string      // of FaultNames; default all that the router can have, but none
	Repeat int           // runs of each; default 1
	Watch  time.Duration // how long a run may take to recover; default 15s
	Load   LoadOptions   // default 500 connections/s to each VIP, 10000 packets/s to the one under test, none established
}

// A Row is one run: what clients lost to one fault.
type Row struct {
	Fault          string   `json:"fault"`
	Profile        Profile  `json:"profile"`
	Repeat         int      `json:"repeat"` // 1 is the first
	Requests       int      `json:"requests"`
	FailedRequests int      `json:"failed_requests"`
	OutageMs       float64  `json:"outage_ms"` // start of the first failed request to start of the first of the lasting successes
	PacketsSent    int      `json:"packets_sent"`
	PacketsLost    int      `json:"packets_lost"`
	DetectMs       *float64 `json:"detect_ms"` // fault to verdict; null where there is nothing to detect
	ApplyMs        *float64 `json:"apply_ms"`  // verdict, or command, to route in the kernel; null without a move

	Servers         []string `json:"servers"`            // that something was done to, in this order
	Recovered       bool     `json:"recovered"`          // within the watch
	AllRoutesMs     *float64 `json:"all_routes_ms"`      // as apply_ms, until the last of the server's VIPs had moved
	RouteChanges    int      `json:"route_changes"`      // of any VIP, as the kernel told
	FailedElsewhere int      `json:"failed_elsewhere"`   // of failed_requests, on VIPs that the fault does not concern
	CutRequests     int      `json:"cut_requests"`       // of failed_requests, those under way when the route moved, if the server was well
	LastNewOnOldMs  *float64 `json:"last_new_on_old_ms"` // command to start of the last new connection answered by the server that traffic leaves; null without a command
	WrongAnswers    int      `json:"wrong_answers"`
	LateRequests    int      `json:"late_requests"` // of any kind, that the generator started over 5 ms late: many make the run worthless
	Links           Links    `json:"links"`
	Family          Family   `json:"family"`

	Router RouterKind `json:"router"`

	RowConnections
}

// Report measures faults one after the other, each run in a lab of its own,
// and returns a row for each run; with an error, those before it. It writes a
// line for each run to progress.
func Report(ctx context.Context, options ReportOptions, progress io.Writer) ([]Row, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	var rows []Row
	for _, name := range options.Faults {
		for repeat := range options.Repeat {
			row, err := run(ctx, options, faultNamed(name))
			if err != nil {
				return rows, fmt.Errorf("lab report: %s, run %d: %w", name, repeat+1, err)
			}
			row.Repeat = repeat + 1
			rows = append(rows, row)
			if _, err := fmt.Fprintln(progress, row); err != nil {
				return rows, fmt.Errorf("lab report: %w", err)
			}
		}
	}
	return rows, nil
}

func (o *ReportOptions) complete() error {
	router, err := newRouter(o.Lab)
	if err != nil {
		return err
	}
	_, typed := router.(scripted)
	if len(o.Faults) == 0 {
		o.Faults = slices.DeleteFunc(FaultNames(), func(name string) bool {
			return name == "none" || faultNamed(name).byHand && !typed
		})
	}
	for _, name := range o.Faults {
		if !slices.Contains(FaultNames(), name) {
			return fmt.Errorf("unknown fault %q: there are %s", name, strings.Join(FaultNames(), ", "))
		}
		if o.Lab.Controller == nil && faultNamed(name).steered {
			return fmt.Errorf("fault %s needs a controller", name)
		}
		if faultNamed(name).byHand && !typed {
			return fmt.Errorf("fault %s needs a router whose lines are typed: --router %s", name, RouterFRR)
		}
	}
	if o.Lab.Failback == "" {
		o.Lab.Failback = "immediate" // an undrain is measured, not a policy
	}
	if err := o.Lab.complete(); err != nil {
		return err
	}
	if o.Repeat < 1 {
		o.Repeat = 1
	}
	if o.Watch == 0 {
		o.Watch = 15 * time.Second
	}
	if o.Load.UDP == nil {
		o.Load.UDP = []int{0}
	}
	if err := o.Lab.enough("lab report"); err != nil {
		return err
	}
	for _, name := range o.Faults {
		if least := faultNamed(name).servers; o.Lab.Servers < least {
			return fmt.Errorf("fault %s needs at least %d servers", name, least)
		}
	}
	return allowFiles(o.Load.Established)
}

// A trial is one run, while it runs.
type trial struct {
	lab    *Lab
	fault  fault
	vip    VIP // the one under test, index 0
	load   *Load
	kept   int // established connections
	routes *RouteWatch
	window *Window
	watch  time.Duration

	began    time.Time // of the fault, or of the first command
	struck   time.Time // of the last one
	server   string    // that it is done to
	concerns []string  // the servers that something was done to
	leavings []leaving
}

// strike notes that something is done to a server now.
func (t *trial) strike(server string) {
	t.server, t.struck = server, time.Now()
	t.concerns = append(t.concerns, server)
}

// run builds a lab, does the fault to it under load, and measures.
func run(ctx context.Context, options ReportOptions, f fault) (row Row, err error) {
	lab := options.Lab
	lab.Links = f.links
	if f.byHand {
		lab.Controller = nil
	}
	l, err := Start(ctx, lab)
	if err != nil {
		return Row{}, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	t := &trial{lab: l, fault: f, vip: l.Site.VIPs[0], kept: options.Load.Established, watch: options.Watch}
	if err := t.prepare(ctx); err != nil {
		return Row{}, err
	}
	if t.routes, err = l.WatchRoutes(); err != nil {
		return Row{}, err
	}
	defer t.routes.Close()
	if t.load, err = l.StartLoad(ctx, options.Load); err != nil {
		return Row{}, err
	}
	if err := t.calm(ctx); err != nil {
		return Row{}, err
	}
	figures, err := t.play(ctx)
	if err != nil {
		return Row{}, err
	}
	row, err = t.row(ctx, figures)
	return row, errors.Join(err, t.load.Stop())
}

// prepare waits for the site to be healthy, and does what comes before the
// fault.
func (t *trial) prepare(ctx context.Context) error {
	if err := t.lab.WaitReady(ctx); err != nil {
		return err
	}
	if t.fault.before == nil {
		return nil
	}
	return t.fault.before(ctx, t)
}

// calm waits for a second without failure, and then a random part of the
// check interval, so that the fault comes at any phase of the checks.
func (t *trial) calm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, t.watch)
	defer cancel()
	window := t.load.Open()
	defer window.Discard()
	if err := window.Quiet(ctx, 0); err != nil {
		return fmt.Errorf("before the fault, %s: %w", window.Now(), err)
	}
	pace, err := t.lab.Profile.pace()
	if err != nil {
		return err
	}
	return pause(ctx, rand.N(pace.interval))
}

// play does the fault and watches until the site has recovered, or the watch
// is over.
func (t *trial) play(ctx context.Context) (Figures, error) {
	t.window = t.load.Open()
	t.began = time.Now()
	t.strike(t.fault.server)
	if err := t.fault.do(ctx, t); err != nil {
		return Figures{}, err
	}
	watch, cancel := context.WithTimeoutCause(ctx, t.watch, errWatchOver)
	defer cancel()
	err := t.fault.settled(watch, t)
	if err == nil {
		err = t.window.Quiet(watch, t.quiet())
	}
	if err != nil && !errors.Is(err, errWatchOver) {
		return Figures{}, err
	}
	if err == nil {
		return t.window.CloseDecided(ctx)
	}
	return t.window.Close(ctx)
}

// quietTime is how long nothing may fail for successes to be lasting.
const quietTime = 1500 * time.Millisecond

// quiet is quietTime, and long enough for every established connection to have
// spoken.
func (t *trial) quiet() time.Duration {
	if t.kept > 0 {
		return max(quietTime, talkMost)
	}
	return quietTime
}

// errWatchOver ends a watch without recovery: a result, not a failure.
var errWatchOver = errors.New("not recovered while watched")

// row puts together what the client, the controller and the kernel saw.
func (t *trial) row(ctx context.Context, f Figures) (Row, error) {
	changes, err := t.routes.Changes()
	if err != nil {
		return Row{}, err
	}
	changes = slices.DeleteFunc(changes, func(c RouteChange) bool { return c.At.Before(t.began) })
	row := Row{
		Fault: t.fault.name, Servers: t.concerns, Profile: t.lab.Profile, Links: t.lab.Site.Links,
		Requests: f.Requests, FailedRequests: f.Failed, OutageMs: ms(f.Outage), Recovered: f.Recovered,
		PacketsSent: f.Packets, PacketsLost: f.Lost, WrongAnswers: f.Wrong, LateRequests: f.Late,
		RouteChanges: len(changes), FailedElsewhere: f.Elsewhere(t.lab.Site, t.concerns...),
		LastNewOnOldMs: lastNewOnOld(f.samples, t.leavings), Family: t.lab.Site.Family, Router: t.lab.Router,
		RowConnections: rowConnections(f.Connections, t.lab.Site, t.began),
	}
	if !t.fault.verdict {
		row.CutRequests = f.Cut(t.lab.Site, changes)
	}
	decided := t.struck
	if t.fault.verdict {
		at, err := t.verdict(ctx)
		if err != nil || at.IsZero() {
			return row, err
		}
		row.DetectMs = since(t.struck, at)
		decided = at
	}
	if change, ok := t.routes.first(t.vip.Prefix, t.struck); ok {
		row.ApplyMs = since(decided, change.At)
		row.AllRoutesMs = since(decided, t.lastRoute())
	}
	return row, nil
}

// verdict returns when the controller found the server down for the VIP; the
// zero time if it did not.
func (t *trial) verdict(ctx context.Context) (time.Time, error) {
	if t.lab.Operator == nil {
		return time.Time{}, nil
	}
	for event, err := range t.lab.Operator.Events(ctx, api.EventsRequest{}) {
		if err != nil {
			return time.Time{}, fmt.Errorf("read the controller's events: %w", err)
		}
		if event.Kind == "verdict" && event.Server == t.server && event.VIP == t.vip.Prefix.String() &&
			event.To == "down" && !event.Time.Before(t.struck) {
			return event.Time, nil
		}
	}
	return time.Time{}, nil
}

// lastRoute returns when the last of the server's VIPs, or the one under test,
// had its first change.
func (t *trial) lastRoute() time.Time {
	var last time.Time
	for _, vip := range t.lab.Site.VIPs {
		change, ok := t.routes.first(vip.Prefix, t.struck)
		if ok && (vip.Primary == t.server || vip == t.vip) {
			last = later(last, change.At)
		}
	}
	return last
}

func ms(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}

func since(from, to time.Time) *float64 {
	v := ms(to.Sub(from))
	return &v
}
