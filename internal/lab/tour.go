package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/routesteer/routesteer/api"
)

// tourLimit is what all of a tour may take.
const tourLimit = 90 * time.Second

// tolerable is the longest outage that a crash may cause on a tour. What is
// usual is far less, and measured by Report; a tour proves that it works, on
// any machine.
const tolerable = time.Second

// tourEstablished is how many established connections the client keeps.
const tourEstablished = 300

// TourOptions says what tour to give.
type TourOptions struct {
	Lab  Options     // a controller is a must
	Load LoadOptions // default 500 connections/s to each VIP, 10000 packets/s in all, 300 established
}

// Tour builds a lab and plays the story of a day under load: a server is
// drained and put back, another crashes and is repaired, and the controller
// is killed and restarted. It tells each step in plain lines with its
// figures, and returns an error that names what did not hold.
func Tour(ctx context.Context, options TourOptions, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, tourLimit, fmt.Errorf("the tour takes longer than %s", tourLimit))
	defer cancel()
	if options.Lab.Controller == nil {
		return errors.New("lab tour: it needs a controller")
	}
	if options.Load.Established == 0 {
		options.Load.Established = tourEstablished
	}
	if err := errors.Join(options.Lab.complete(), options.Lab.enough("lab tour"), allowFiles(options.Load.Established)); err != nil {
		return err
	}
	began := time.Now()
	l, err := Start(ctx, options.Lab)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	t := &tour{lab: l, out: out}
	if err := t.begin(ctx, options.Load, began); err != nil {
		return err
	}
	for _, s := range tourSteps() {
		if err := t.step(ctx, s); err != nil {
			return fmt.Errorf("lab tour: %s: %w", s.title, err)
		}
	}
	t.say("Done in %.0f s.", time.Since(began).Seconds())
	return errors.Join(append(t.broken, t.load.Stop())...)
}

// A tour is one tour under way.
type tour struct {
	lab    *Lab
	load   *Load
	out    io.Writer
	broken []error // what did not hold
	number int     // of the step
	cuts   string  // why planned moves cut connections here; "" if they do not
}

// A scene does something and waits until the controller has dealt with it.
type scene func(context.Context, *tour, VIP) error

// A tourStep is one scene: something happens, and traffic should settle.
type tourStep struct {
	title  string
	vip    int // index of the VIP that it is about
	play   scene
	outage time.Duration // allowed; 0 means that no packet and no connection may be lost
	still  bool          // no route may change
}

func tourSteps() []tourStep {
	return []tourStep{
		{title: "drain web1, as before a reboot", vip: 0, play: drainScene("web1")},
		{title: "undrain web1: its traffic returns", vip: 0, play: undrainScene("web1")},
		{title: "web2 crashes: its port is closed", vip: 1, play: crashScene("web2"), outage: tolerable},
		{title: "web2 is repaired: its traffic returns", vip: 1, play: repairScene("web2")},
		{title: "the controller is killed with -9, and restarted", vip: 0, play: killScene, still: true},
	}
}

// say writes a line. A reader who has gone does not stop the tour: its error
// is what counts then.
func (t *tour) say(format string, a ...any) { _, _ = fmt.Fprintf(t.out, format+"\n", a...) }

func (t *tour) begin(ctx context.Context, load LoadOptions, began time.Time) error {
	site := t.lab.Site
	t.say("Lab %d: a client, a router (%s) with the controller, %d web servers carrying %d VIPs (%s, profile %s).",
		t.lab.ID, t.lab.Router, len(site.Servers), len(site.VIPs), site.Family, t.lab.Profile)
	if err := t.lab.WaitReady(ctx); err != nil {
		return fmt.Errorf("lab tour: %w", err)
	}
	t.say("All servers are up and all VIPs routed, %.1f s after the start.", time.Since(began).Seconds())
	var err error
	if t.load, err = t.lab.StartLoad(ctx, load); err != nil {
		return fmt.Errorf("lab tour: %w", err)
	}
	plan := load.plan(site)
	t.say("The client makes %d new connections/s to each of %d VIPs and sends %d packets/s, and counts every wrong or missing answer.",
		plan.httpRate, len(plan.httpVIPs), plan.udpRate)
	t.say("It keeps %d established connections, and makes a request on each every one to two seconds.", load.Established)
	if t.cuts, err = t.lab.cuts(ctx); err != nil {
		return fmt.Errorf("lab tour: %w", err)
	}
	if t.cuts != "" {
		t.say("Here the controller cannot keep connections where they are at a move: %s.", t.cuts)
	}
	return nil
}

// step plays one scene and judges it.
func (t *tour) step(ctx context.Context, s tourStep) error {
	t.number++
	t.say("\n%d. %s", t.number, s.title)
	routes, err := t.lab.WatchRoutes()
	if err != nil {
		return err
	}
	defer routes.Close()
	window := t.load.Open()
	vip := t.lab.Site.VIPs[s.vip]
	from, err := t.lab.where(ctx, vip)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.play(ctx, t, vip); err != nil {
		return err
	}
	if err := window.Quiet(ctx, max(quietTime, talkMost)); err != nil {
		return err
	}
	figures, err := window.CloseDecided(ctx)
	if err != nil {
		return err
	}
	to, err := t.lab.where(ctx, vip)
	if err != nil {
		return err
	}
	changes, err := routes.Changes()
	if err != nil {
		return err
	}
	t.tell(vip, from, to, began, changes)
	t.say("   %s.", figures)
	t.judge(s, figures, changes)
	t.judgeConnections(s, figures.Connections, from)
	return nil
}

// tell says where the VIP went, by the kernel's own account.
func (t *tour) tell(vip VIP, from, to string, began time.Time, changes []RouteChange) {
	if from == to {
		t.say("   %s stays at %s; %d route changes.", vip.Prefix, to, len(changes))
		return
	}
	for _, c := range changes {
		if c.Prefix == vip.Prefix && !c.Several {
			t.say("   %s moved from %s to %s; the kernel had the route %.1f ms after the start of the step.",
				vip.Prefix, from, to, ms(c.At.Sub(began)))
			return
		}
	}
	t.say("   %s is wanted at %s now, but the kernel told of no change.", vip.Prefix, to)
}

// judge keeps what did not hold.
func (t *tour) judge(s tourStep, f Figures, changes []RouteChange) {
	fail := func(format string, a ...any) { t.fail(s, format, a...) }
	cut := f.Cut(t.lab.Site, changes)
	if cut > 0 && s.outage == 0 {
		t.say("   Of the failed requests %d were under way at the moment of the move.", cut)
	}
	switch {
	case f.Requests == 0 || f.Packets == 0:
		fail("the client sent %d requests and %d packets: nothing was measured", f.Requests, f.Packets)
	case s.outage == 0 && (f.Failed > cut || f.Lost > 0):
		fail("nothing should be lost, but %s", f)
	case s.outage > 0 && f.Outage > s.outage || !f.Recovered:
		fail("an outage of at most %s was expected, but %s", s.outage, f)
	}
	if s.still && len(changes) > 0 {
		fail("no route should change, but %d did", len(changes))
	}
	if failed := f.Elsewhere(t.lab.Site, t.lab.Site.VIPs[s.vip].Primary); failed > 0 {
		fail("%d requests to other servers' VIPs failed", failed)
	}
	if f.Late*100 > f.Requests+f.Packets {
		t.say("   (%d started late: this machine is busy, and the figures are worse than the truth)", f.Late)
	}
}

// judgeConnections keeps what did not hold for established connections: only
// a server that is lost, the one that the VIP leaves, takes its own with it.
func (t *tour) judgeConnections(s tourStep, c Connections, from string) {
	others := c.Broken()
	for i, server := range t.lab.Site.Servers {
		if s.outage > 0 && server.Name == from {
			others -= c.Servers[i].Broken
		}
	}
	if others > 0 && t.cuts == "" {
		t.fail(s, "%d established connections broke that should have stayed", others)
	}
}

// fail keeps that something did not hold, and says so.
func (t *tour) fail(s tourStep, format string, a ...any) {
	what := fmt.Sprintf(format, a...)
	t.broken = append(t.broken, fmt.Errorf("step %d, %s: %s", t.number, s.title, what))
	t.say("   DID NOT HOLD: %s", what)
}

func drainScene(server string) scene {
	return func(ctx context.Context, t *tour, vip VIP) error {
		moved, err := t.lab.Operator.Drain(ctx, api.DrainRequest{Servers: []string{server}, Reason: "lab tour"})
		if err != nil {
			return err
		}
		if !moved.Confirmed {
			return fmt.Errorf("drain of %s is not confirmed by every router", server)
		}
		return t.lab.waitAway(ctx, vip, server)
	}
}

func undrainScene(server string) scene {
	return func(ctx context.Context, t *tour, vip VIP) error {
		if _, err := t.lab.Operator.Undrain(ctx, api.UndrainRequest{Servers: []string{server}}); err != nil {
			return err
		}
		return t.lab.WaitAt(ctx, vip, server)
	}
}

func crashScene(server string) scene {
	return func(ctx context.Context, t *tour, vip VIP) error {
		if err := t.lab.Do(ctx, Crash, server); err != nil {
			return err
		}
		return t.lab.waitAway(ctx, vip, server)
	}
}

func repairScene(server string) scene {
	return func(ctx context.Context, t *tour, vip VIP) error {
		if err := t.lab.Do(ctx, Restore, server); err != nil {
			return err
		}
		return t.lab.WaitAt(ctx, vip, server)
	}
}

func killScene(ctx context.Context, t *tour, _ VIP) error {
	if err := t.lab.KillController(ctx); err != nil {
		return err
	}
	if err := pause(ctx, killedFor); err != nil {
		return err
	}
	if err := t.lab.StartController(ctx); err != nil {
		return err
	}
	return t.lab.WaitReady(ctx)
}
