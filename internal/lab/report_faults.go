package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/routesteer/routesteer/api"
)

// A fault is one thing that Report does to a lab.
type fault struct {
	name    string
	links   Links
	servers int    // at least, of the site; 0 is what every report needs
	server  string // that it is done to, or that it is about
	steered bool   // senseless without a controller
	byHand  bool   // done by the lab itself, on a router whose lines can be typed, with no controller
	verdict bool   // the controller should find the server down
	before  func(context.Context, *trial) error
	do      func(context.Context, *trial) error
	settled func(context.Context, *trial) error // waits until the traffic has gone where it should
}

// killedFor is how long a killed controller stays dead.
const killedFor = 500 * time.Millisecond

// faultList is all faults, in the order of a report.
func faultList() []fault {
	return []fault{
		{name: "none", server: "web1", do: nothing, settled: nothing},
		broken("crash", Crash, Switched),
		broken("freeze", Freeze, Switched),
		broken("unplug", Unplug, Switched),
		broken("unplug-router", Unplug, Direct),
		broken("block", Block, Switched),
		{name: "remove-vip", server: "web2", steered: true, verdict: true,
			do: act(RemoveVIP), settled: awaitVerdict},
		{name: "drain", server: "web1", steered: true, do: drain, settled: awaitAway},
		{name: "drain-by-hand", server: "web1", byHand: true, do: drainByHand, settled: awaitAway},
		{name: "undrain", server: "web1", steered: true, before: drainFirst, do: undrain, settled: awaitBack},
		{name: "drain-twice", servers: 3, server: "web1", steered: true, do: drainTwice, settled: awaitAway},
		{name: "drain-undrain", server: "web1", steered: true, do: drainUndrain, settled: awaitBack},
		{name: "drain-lose", servers: 3, server: "web1", steered: true, verdict: true, do: drainLose, settled: awaitAway},
		{name: "controller-kill", server: "web1", steered: true, do: killController, settled: awaitReady},
	}
}

// broken is a fault that takes the VIP's primary away.
func broken(name string, action Action, links Links) fault {
	return fault{name: name, links: links, server: "web1", verdict: true, do: act(action), settled: awaitAway}
}

// FaultNames lists what Report can measure. "none" proves the generator.
func FaultNames() []string {
	var names []string
	for _, f := range faultList() {
		names = append(names, f.name)
	}
	return names
}

func faultNamed(name string) fault {
	for _, f := range faultList() {
		if f.name == name {
			return f
		}
	}
	panic("lab: no such fault: " + name)
}

func nothing(context.Context, *trial) error { return nil }

func act(action Action) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error { return t.lab.Do(ctx, action, t.server) }
}

func drain(ctx context.Context, t *trial) error {
	t.leavings = append(t.leavings, leaving{at: time.Now(), old: leavesServer(t.lab.Site, t.server)})
	return drainServer(ctx, t.lab, t.server)
}

// betweenLines is what passes between two lines of a person's script.
const betweenLines = 100 * time.Millisecond

// drainByHand moves the server's VIPs as the article did: "no ip route", then
// "ip route", by script.
func drainByHand(ctx context.Context, t *trial) error {
	t.leavings = append(t.leavings, leaving{at: time.Now(), old: leavesServer(t.lab.Site, t.server)})
	var prefixes []netip.Prefix
	for _, vip := range t.lab.Site.VIPs {
		if vip.Primary == t.server {
			prefixes = append(prefixes, vip.Prefix)
		}
	}
	to := t.lab.Site.Servers[1] // where a controller would move them
	if err := t.lab.router.(scripted).removeFirst(ctx, prefixes, to.Address, betweenLines); err != nil {
		return fmt.Errorf("drain %s by hand: %w", t.server, err)
	}
	return nil
}

func drainServer(ctx context.Context, l *Lab, server string) error {
	moved, err := l.Operator.Drain(ctx, api.DrainRequest{Servers: []string{server}, Reason: "lab report"})
	if err != nil {
		return fmt.Errorf("drain %s: %w", server, err)
	}
	if !moved.Confirmed {
		return fmt.Errorf("drain %s: not confirmed by every router", server)
	}
	return nil
}

func drainFirst(ctx context.Context, t *trial) error {
	if err := drainServer(ctx, t.lab, t.fault.server); err != nil {
		return err
	}
	return t.lab.waitAway(ctx, t.vip, t.fault.server)
}

func undrain(ctx context.Context, t *trial) error {
	t.leavings = append(t.leavings, leaving{at: time.Now(), old: leavesOthers(t.lab.Site, t.server)})
	if _, err := t.lab.Operator.Undrain(ctx, api.UndrainRequest{Servers: []string{t.server}}); err != nil {
		return fmt.Errorf("undrain %s: %w", t.server, err)
	}
	return nil
}

// drainTwice drains the server, and then the one that took over, while
// connections of both are open.
func drainTwice(ctx context.Context, t *trial) error {
	next, err := drainMidway(ctx, t)
	if err != nil {
		return err
	}
	t.strike(next)
	return drain(ctx, t)
}

func drainUndrain(ctx context.Context, t *trial) error {
	if _, err := drainMidway(ctx, t); err != nil {
		return err
	}
	t.strike(t.server)
	return undrain(ctx, t)
}

// drainLose drains the server, and then the one that took over crashes.
func drainLose(ctx context.Context, t *trial) error {
	next, err := drainMidway(ctx, t)
	if err != nil {
		return err
	}
	t.strike(next)
	return t.lab.Do(ctx, Crash, next)
}

// midway is how long a drain is under way before the next thing happens.
const midway = 500 * time.Millisecond

// drainMidway drains the server, waits until every established connection has
// spoken since, opens some more, and returns the server that they went to: the
// one that took over the VIP under test.
func drainMidway(ctx context.Context, t *trial) (string, error) {
	if err := drain(ctx, t); err != nil {
		return "", err
	}
	if err := t.lab.waitAway(ctx, t.vip, t.server); err != nil {
		return "", err
	}
	wait := midway
	if t.kept > 0 {
		wait += talkMost
	}
	if err := pause(ctx, wait); err != nil {
		return "", err
	}
	if err := t.load.Establish(ctx, t.kept/4); err != nil {
		return "", err
	}
	return t.lab.where(ctx, t.vip)
}

func killController(ctx context.Context, t *trial) error {
	if err := t.lab.KillController(ctx); err != nil {
		return err
	}
	if err := pause(ctx, killedFor); err != nil {
		return err
	}
	return t.lab.StartController(ctx)
}

func awaitReady(ctx context.Context, t *trial) error { return t.lab.WaitReady(ctx) }

func awaitBack(ctx context.Context, t *trial) error { return t.lab.WaitAt(ctx, t.vip, t.server) }

// awaitAway waits for the kernel's word that the VIP's route moved; a
// controller that never moves it, or none, is seen by the watch's end.
func awaitAway(ctx context.Context, t *trial) error {
	return poll(ctx, 5*time.Millisecond, "the route to move", func() (bool, error) {
		_, moved := t.routes.first(t.vip.Prefix, t.struck)
		_, err := t.routes.Changes()
		return moved, err
	})
}

func awaitVerdict(ctx context.Context, t *trial) error {
	return poll(ctx, 20*time.Millisecond, "the verdict", func() (bool, error) {
		at, err := t.verdict(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			err = errWatchOver
		}
		return !at.IsZero(), err
	})
}
