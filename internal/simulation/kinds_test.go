package simulation

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/controller"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// A kind is one kind of event.
type kind struct {
	name   string
	happen func(*telling, dice)
}

// kinds is all that can happen. A kind that is here twice happens twice as often.
var kinds = []kind{
	{"crash", sickness(crashed)}, {"crash", sickness(crashed)}, {"freeze", sickness(frozen)}, {"death", sickness(dead)}, {"card", sickness(cardLost)},
	{"alias", sickness(aliasGone)}, {"flaky", sickness(flaky)}, {"silence", sickness(silent)}, {"flapping", flapping}, {"blackout", blackout},
	{"leaving", leaves}, {"leaving", leaves}, {"isolation", isolates}, {"deafness", deafens}, {"reboot", reboots},
	{"slow", misfortune(slow)}, {"cut", misfortune(cut)}, {"half-way", misfortune(cutHalfway)}, {"router restart", misfortune(restart)},
	{"vanish", misfortune(vanish)}, {"bend", misfortune(bend)}, {"foreign", misfortune(occupy)}, {"refuse", misfortune(refuse)}, {"contest", misfortune(contest)},
	{"drain", drains}, {"drain", drains}, {"undrain", undrains}, {"undrain", undrains}, {"drain and undrain", maintains},
	{"pin", pins}, {"unpin", unpins}, {"failback", callsBack}, {"resume", resumes},
	{"reload", reloads}, {"bad file", spoils},
	{"restart", restarts}, {"kill", kills}, {"kill after save", killsAfterSave},
}

// sickness is an ailment of a server for a while.
func sickness(m malady) func(*telling, dice) {
	return func(t *telling, d dice) {
		t.mu.Lock()
		defer t.mu.Unlock()
		server := d.server(t.site)
		a := &ailment{malady: m, server: server.Name, address: server.Addresses[d.IntN(len(server.Addresses))]}
		vip, _ := t.site.VIP(d.prefix(t.site))
		a.vip = vip.Judge
		what := fmt.Sprintf("%s is %s", server.Name, m)
		if m == cardLost {
			what += " " + a.address.String()
		}
		if m == aliasGone {
			what += " " + a.vip.String()
		}
		t.say(time.Now(), "server", "%s", what)
		t.until(d.between(100*time.Millisecond, 3*time.Minute), what, t.fallIll(a))
	}
}

// flapping is a server that crashes and comes back again and again.
func flapping(t *telling, d dice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	server := d.server(t.site)
	pace := pick(d.Rand, 400*time.Millisecond, time.Second, 5*time.Second, 15*time.Second, 70*time.Second)
	up, down := d.between(pace/4, 2*pace), d.between(pace/4, pace)
	what := fmt.Sprintf("%s flaps, %s up and %s down", server.Name, up, down)
	t.say(time.Now(), "server", "%s", what)
	a := &ailment{malady: crashed, server: server.Name}
	heal, over := func() {}, false
	var fall, rise func()
	fall = func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if !over {
			a.over = false
			heal = t.fallIll(a)
			t.later(down, rise)
		}
	}
	rise = func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if !over {
			heal()
			t.later(up, fall)
		}
	}
	t.later(0, fall)
	t.until(d.between(10*time.Second, 40*pace), what, func() { over = true; heal() })
}

// blackout is a failure common to all servers: who returns first is chance.
func blackout(t *telling, d dice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.say(time.Now(), "server", "all are dead")
	m, whole := pick(d.Rand, crashed, dead, frozen), d.between(100*time.Millisecond, time.Minute)
	for _, server := range t.site.Servers {
		heal := t.fallIll(&ailment{malady: m, server: server.Name})
		t.until(whole+d.between(0, 5*time.Second), string(server.Name)+" is dead, as all are", heal)
	}
}

// leaves is a server that asks for no new traffic for a while.
func leaves(t *telling, d dice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	server := d.server(t.site)
	what := string(server.Name) + " asks to be drained"
	t.say(time.Now(), "server", "%s", what)
	t.until(d.between(100*time.Millisecond, 3*time.Minute), what, t.fallIll(&ailment{malady: leaving, server: server.Name}))
}

// isolates cuts the controller off from servers and witnesses alike.
func isolates(t *telling, d dice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.say(time.Now(), "controller", "is cut off")
	whole := d.between(100*time.Millisecond, time.Minute)
	for _, server := range t.site.Servers {
		t.until(whole, "nothing is heard of "+string(server.Name), t.fallIll(&ailment{malady: dead, server: server.Name}))
	}
	t.until(whole, "the controller is cut off", t.fallIll(&ailment{malady: deaf}))
}

// deafens makes the witnesses silent, and nothing else.
func deafens(t *telling, d dice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.say(time.Now(), "witness", "is silent")
	t.until(d.between(100*time.Millisecond, 3*time.Minute), "the witness is silent", t.fallIll(&ailment{malady: deaf}))
}

// reboots is an operator who drains a server until it has rebooted, and reboots it,
// mostly.
func reboots(t *telling, d dice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := d.server(t.site).Name
	t.say(time.Now(), "operator", "drains %s until it has rebooted", name)
	request := api.DrainRequest{Servers: []string{string(name)}, By: "ann", UntilReboot: true, TimeoutMs: 1000}
	t.request(steer.Place{Server: name}, saying{drained: true, reboot: true}, func(ctx context.Context, c *controller.Controller) (*api.Moved, error) {
		return c.Drain(ctx, request)
	})
	if d.IntN(4) == 0 {
		return
	}
	down := d.between(time.Second, 2*time.Minute)
	t.later(d.between(time.Second, time.Minute), func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		what := string(name) + " reboots"
		t.say(time.Now(), "server", "%s", what)
		t.until(down, what, t.fallIll(&ailment{malady: dead, server: name}))
	})
}

// misfortune is a mishap of a router for a while.
func misfortune(m mishap) func(*telling, dice) {
	return func(t *telling, d dice) {
		t.mu.Lock()
		defer t.mu.Unlock()
		r := t.router(t.site.Routers[d.IntN(len(t.site.Routers))].Name)
		over, what := m(r, d)
		t.say(time.Now(), string(r.name), "%s", what)
		if over != nil {
			t.until(d.between(100*time.Millisecond, 2*time.Minute), string(r.name)+" "+what, over)
		}
	}
}

// end is when a wish is to end by itself: mostly never.
func (d dice) end() time.Time {
	if d.IntN(3) > 0 {
		return time.Time{}
	}
	return time.Now().Add(d.between(10*time.Second, 5*time.Minute)).Round(0)
}

func drains(t *telling, d dice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := d.server(t.site).Name
	request := api.DrainRequest{
		Servers: []string{string(name)}, By: "ann", Force: d.IntN(3) == 0, Cut: d.IntN(4) == 0, Until: d.end(), TimeoutMs: d.Int64N(30_000),
	}
	place := steer.Place{Server: name}
	if d.IntN(4) == 0 {
		vip, _ := t.site.VIP(d.prefix(t.site))
		place.VIP = vip.Entry
		request.VIPs = []string{vip.Prefix.String()}
	}
	t.say(time.Now(), "operator", "drains %s %v until %s; force %t, cut %t", name, request.VIPs, t.since(request.Until), request.Force, request.Cut)
	began := time.Now()
	anew := t.admin(name).ready(began, 0) && !t.maintained(name, began, time.Minute)
	t.request(place, saying{drained: true, until: request.Until}, func(ctx context.Context, c *controller.Controller) (*api.Moved, error) {
		moved, err := c.Drain(ctx, request)
		over := !request.Until.IsZero() && !time.Now().Before(request.Until) // before the answer came
		if err == nil && !request.Force && !moved.Unchanged && anew && !over {
			t.checkProven(moved, place, began)
		}
		return moved, err
	})
}

func undrains(t *telling, d dice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	drained := t.places(func(_ steer.Place, a *word) bool { return a.said.drained })
	if len(drained) > 0 {
		t.undrain(drained[d.IntN(len(drained))], d)
	}
}

// undrain is an operator who puts a server back in service.
func (t *telling) undrain(place steer.Place, d dice) {
	request := api.UndrainRequest{Servers: []string{string(place.Server)}, By: "bob", TimeoutMs: d.Int64N(30_000)}
	if place.VIP != (netip.Prefix{}) {
		request.VIPs = []string{place.VIP.String()}
	}
	t.say(time.Now(), "operator", "undrains %s %v", place.Server, request.VIPs)
	t.request(place, saying{}, func(ctx context.Context, c *controller.Controller) (*api.Moved, error) {
		return c.Undrain(ctx, request)
	})
}

// places are those of which something is said that fits, sorted.
func (w *world) places(fits func(steer.Place, *word) bool) []steer.Place {
	var places []steer.Place
	for place, a := range w.words {
		if fits(place, a) {
			places = append(places, place)
		}
	}
	slices.SortFunc(places, func(a, b steer.Place) int {
		return cmp.Or(cmp.Compare(a.Server, b.Server), a.VIP.Compare(b.VIP))
	})
	return places
}

// maintains is a drain, and the undrain after it.
func maintains(t *telling, d dice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := d.server(t.site).Name
	t.say(time.Now(), "operator", "drains %s for a while", name)
	request := api.DrainRequest{Servers: []string{string(name)}, By: "ann", TimeoutMs: 1000}
	t.request(steer.Place{Server: name}, saying{drained: true}, func(ctx context.Context, c *controller.Controller) (*api.Moved, error) {
		return c.Drain(ctx, request)
	})
	t.later(d.between(time.Second, 3*time.Minute), func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.undrain(steer.Place{Server: name}, d)
	})
}

func pins(t *telling, d dice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	vip, _ := t.site.VIP(d.prefix(t.site))
	request := api.PinRequest{
		VIP: vip.Prefix.String(), Server: string(pick(d.Rand, vip.Servers()...)), Until: d.end(), Force: d.IntN(4) == 0, By: "ann", TimeoutMs: d.Int64N(30_000),
	}
	t.say(time.Now(), "operator", "pins %s to %s until %s; force %t", vip.Entry, request.Server, t.since(request.Until), request.Force)
	say := saying{pinned: topology.ServerName(request.Server), force: request.Force, until: request.Until}
	t.request(steer.Place{VIP: vip.Entry}, say, func(ctx context.Context, c *controller.Controller) (*api.Moved, error) { return c.Pin(ctx, request) })
}

func unpins(t *telling, d dice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pinned := t.places(func(_ steer.Place, a *word) bool { return a.said.pinned != "" })
	if len(pinned) == 0 {
		return
	}
	place := pinned[d.IntN(len(pinned))]
	t.say(time.Now(), "operator", "unpins %s", place.VIP)
	request := api.UnpinRequest{VIP: place.VIP.String(), By: "bob", TimeoutMs: d.Int64N(30_000)}
	t.request(place, saying{}, func(ctx context.Context, c *controller.Controller) (*api.Moved, error) { return c.Unpin(ctx, request) })
}

func callsBack(t *telling, d dice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.say(time.Now(), "operator", "calls traffic back")
	request := api.FailbackRequest{By: "ann", TimeoutMs: d.Int64N(30_000)}
	t.request(hurry, saying{}, func(ctx context.Context, c *controller.Controller) (*api.Moved, error) {
		return c.Failback(ctx, request)
	})
}

func resumes(t *telling, d dice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.say(time.Now(), "operator", "lets failures move traffic")
	request := api.ResumeRequest{By: "ann", TimeoutMs: d.Int64N(30_000)}
	t.request(resuming, saying{}, func(ctx context.Context, c *controller.Controller) (*api.Moved, error) { return c.Resume(ctx, request) })
}

func reloads(t *telling, d dice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	what := t.draft.change(d.Rand)
	t.file = t.draft.text()
	t.say(time.Now(), "operator", "changes the file: %s\n%s", what, strings.TrimSuffix(t.file, "\n"))
	t.reload()
}

// spoils makes the file bad, has it read, and puts it right.
func spoils(t *telling, d dice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	good := t.file
	t.file = pick(d.Rand, strings.Replace(good, "servers:", "server:", 1), good[:len(good)/2], "", good+"vips: []\n")
	t.say(time.Now(), "operator", "spoils the file")
	t.reload()
	t.until(d.between(time.Second, time.Minute), "the file is bad", func() { t.file = t.draft.text() })
}

// restarts stops the controller, in the middle of whatever it does, and starts
// it again.
func restarts(t *telling, d dice) {
	if t.control == nil {
		return
	}
	t.stop()
	t.absent(d.between(0, 30*time.Second))
}

// kills stops it while an operator's request is under way.
func kills(t *telling, d dice) {
	if t.control == nil {
		return
	}
	if d.IntN(2) == 0 {
		drains(t, d)
	} else {
		undrains(t, d)
	}
	time.Sleep(d.between(0, 10*time.Millisecond))
	t.stop()
	t.absent(d.between(0, 30*time.Second))
}

// killsAfterSave kills it when it has kept an intent, and not acted.
func killsAfterSave(t *telling, d dice) {
	if t.control == nil {
		return
	}
	t.stop()
	t.mu.Lock()
	t.keepDrain(d.server(t.site).Name)
	t.mu.Unlock()
	t.absent(d.between(0, 30*time.Second))
}

// absent starts the controller after a while. It needs a good file.
func (t *telling) absent(d time.Duration) {
	t.later(d, func() {
		if t.control == nil {
			t.mu.Lock()
			t.file = t.draft.text()
			t.mu.Unlock()
			t.start()
		}
	})
}
