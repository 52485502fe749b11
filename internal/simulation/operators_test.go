package simulation

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/controller"
	"github.com/routesteer/routesteer/internal/state"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// A word is what operators have said of a server, of a server and a VIP, or of a
// VIP, as far as they know: an answer that did not come leaves it open.
type word struct {
	said     saying
	since    time.Time
	asked    time.Time // when what was said was asked for
	asking   int       // requests under way
	crossed  bool      // several were, at a time: which was the last is not known
	open     bool      // nobody knows whether the last one took effect
	recalled time.Time // traffic may return since then, for all that is known
	returned time.Time // traffic is to return since then: an operator was told so
}

// A saying is the content of a word. The zero saying asks for nothing.
type saying struct {
	drained bool
	pinned  topology.ServerName
	force   bool
	until   time.Time
	reboot  bool // until then
}

// word is what was said of a place; without a VIP it is of all the server's, and
// without a server it is the VIP's pin.
func (w *world) word(place steer.Place) *word {
	if w.words[place] == nil {
		w.words[place] = &word{}
	}
	return w.words[place]
}

// hurry is the place of what is asked of no place: to have traffic back at once.
var hurry = steer.Place{}

// resuming is the place of letting failures move traffic.
var resuming = steer.Place{Server: "(resume)"}

func (w *world) admin(name topology.ServerName) *word { return w.word(steer.Place{Server: name}) }

func (w *world) pin(vip topology.VIP) *word { return w.word(steer.Place{VIP: vip.Entry}) }

// sure reports whether it is known what was said: not while somebody asks, nor
// when the time has come at which it ends by itself.
func (a *word) sure(now time.Time) bool {
	return a.asking == 0 && !a.open && !a.said.reboot && (a.said.until.IsZero() || now.Before(a.said.until))
}

// ready reports whether nothing was surely asked for, for a time.
func (a *word) ready(now time.Time, d time.Duration) bool {
	return a.sure(now) && a.said == saying{} && now.Sub(a.since) >= d
}

// inService reports whether the server was surely to take the VIP for a time.
func (w *world) inService(name topology.ServerName, vip topology.VIP, now time.Time, d time.Duration) bool {
	return !w.mayAsk(name, vip, now, d) && !w.maintained(name, now, d) && w.admin(name).ready(now, d) && w.word(steer.Place{Server: name, VIP: vip.Entry}).ready(now, d)
}

// illSince reports whether the server was ill for a VIP at some time since then.
func (w *world) illSince(name topology.ServerName, then time.Time) bool {
	for target, t := range w.truths {
		if target.Server == name && !t.wasBad(time.Now()).Before(then) {
			return true
		}
	}
	return false
}

// mayAsk reports whether the server may be thought, or was for some of that time, to
// ask for no new traffic of the VIP, by its agent.
func (w *world) mayAsk(name topology.ServerName, vip topology.VIP, now time.Time, d time.Duration) bool {
	check, _ := w.site.Check(vip.Check)
	if check.Agent == nil {
		return false
	}
	is, since := w.asks(name) // a standby is asked now and then
	return is || now.Sub(since) <= d+boundsOf(w.site, vip, topology.Router{}, 0).fall+check.StandbyInterval+check.StandbyInterval/20
}

// maintained reports whether the file takes the server out of service, or did so for
// some of that time, or is about to.
func (w *world) maintained(name topology.ServerName, now time.Time, d time.Duration) bool {
	for _, m := range w.site.Maintenance {
		_, under := m.Until(now)
		_, about := m.Until(now.Add(time.Second))
		if slices.Contains(m.Servers, name) && (under || about || w.hasEnded(m, now, d)) {
			return true
		}
	}
	return false
}

// hasEnded reports whether a maintenance has ended within a time.
func (w *world) hasEnded(m topology.Maintenance, now time.Time, d time.Duration) bool {
	until, under := m.Until(now.Add(-d - blink))
	_, still := m.Until(now)
	return under && !until.IsZero() && !still
}

// outOfService reports whether it was surely not to take it for a time.
func (w *world) outOfService(name topology.ServerName, vip topology.VIP, now time.Time, d time.Duration) bool {
	for _, a := range []*word{w.admin(name), w.word(steer.Place{Server: name, VIP: vip.Entry})} {
		if a.sure(now) && a.said.drained && now.Sub(a.since) >= d {
			return true
		}
	}
	return false
}

// An asking is a request to the controller.
type asking func(context.Context, *controller.Controller) (*api.Moved, error)

// request asks the controller, and notes what it answers.
func (w *world) request(place steer.Place, say saying, ask asking) {
	if w.control == nil {
		return
	}
	w.watch(time.Now())
	w.figures.requests++
	a, control, began := w.word(place), w.control, time.Now()
	a.asking++
	a.crossed = a.crossed || a.asking > 1
	if !say.drained {
		a.recalled = began
	}
	w.clerks.Go(func() {
		moved, err := ask(context.Background(), control)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.watch(time.Now())
		a.asking--
		w.answered(a, say, began, moved, err)
		if err == nil {
			w.checkMoved(moved, began)
		}
		if err == nil && place.Server != "" && place.VIP == (netip.Prefix{}) && say == (saying{}) && !a.crossed && !moved.Unchanged {
			w.checkRecalled(place.Server)
		}
		if a.asking == 0 {
			a.open, a.crossed = a.open || a.crossed, false
		}
	})
}

// answered notes what an operator was told.
func (w *world) answered(a *word, say saying, asked time.Time, moved *api.Moved, err error) {
	now := time.Now()
	var refusal *api.Error
	switch {
	case err == nil:
		w.say(now, "operator", "is told: %s %v %v; confirmed %t, unchanged %t", moved.Did, moved.Servers, moved.Of, moved.Confirmed, moved.Unchanged)
		a.open = false
		if !moved.Unchanged || a.said.drained != say.drained || a.said.pinned != say.pinned {
			a.said, a.since, a.asked = say, now, asked
			if say == (saying{}) && !moved.Unchanged && !a.crossed {
				a.returned = asked // or soon after
			}
		}
	case errors.As(err, &refusal) && (refusal.Code == api.Refused || refusal.Code == api.NotFound || refusal.Code == api.BadRequest):
		w.say(now, "operator", "is refused: %s", refusal.Message)
	default:
		a.open = true
		w.say(now, "operator", "is told: %v", err)
	}
}

// checkMoved holds that what is confirmed is so, unless something has happened
// since.
func (w *world) checkMoved(moved *api.Moved, began time.Time) {
	if !moved.Confirmed || moved.Unchanged {
		return
	}
	for _, move := range moved.VIPs {
		prefix, ok := parsePrefix(move.VIP)
		if vip, known := w.site.VIP(prefix); !ok || !known || w.belief.movedSince(vip, began) || w.sited.After(began) {
			continue
		}
		for _, r := range w.site.Routers {
			router := w.router(r.Name)
			servers, _ := w.servers(router.table[prefix].hops)
			read := router.touched.Add(r.Poll() + router.patience()).Before(began) // what somebody has done since
			if read && !slices.Equal(names(servers), move.To) {
				w.breaks("what is confirmed is so", "%s is said to be at %v, and %s sends it to %v", move.VIP, move.To, r.Name, servers)
			}
		}
	}
}

// checkProven holds that a drain was proven first: no traffic stays, or goes to a
// server that has failed since before it was asked for.
func (w *world) checkProven(moved *api.Moved, place steer.Place, began time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.word(place).crossed || w.admin(place.Server).crossed {
		return
	}
	for _, to := range moved.VIPs {
		prefix, _ := parsePrefix(to.VIP)
		vip, known := w.site.VIP(prefix)
		if !known || place.VIP.IsValid() && vip.Entry != place.VIP || w.sited.After(began) || !w.pin(vip).ready(time.Now(), time.Since(began)) {
			continue
		}
		if w.worseSince(vip, began) {
			continue // and so it may have gone on, while a router was waited for
		}
		for _, name := range to.To {
			t := w.truths[health.Target{Server: topology.ServerName(name), VIP: vip.Judge}]
			if place.VIP != vip.Entry && !w.word(steer.Place{Server: topology.ServerName(name), VIP: vip.Entry}).ready(time.Now(), 0) {
				continue // it was not to be there before
			}
			stays := slices.Contains(moved.Servers, name) && slices.Contains(to.From, name) // who was elsewhere may be sent there when all are down
			if stays || t != nil && t.is == ill && t.since.Before(began) {
				w.breaks("a drain is proven first", "%v is drained, and %s goes to %v, of which %s cannot carry it", moved.Servers, to.VIP, to.To, name)
			}
		}
	}
}

// worseSince reports whether a server of the VIP began to fail after a moment, or may have.
func (w *world) worseSince(vip topology.VIP, moment time.Time) bool {
	return slices.ContainsFunc(vip.Servers(), func(name topology.ServerName) bool {
		t := w.truths[health.Target{Server: name, VIP: vip.Judge}]
		return t != nil && (t.is == mixed || t.is == ill && !t.since.Before(moment))
	})
}

// checkRecalled holds that a server which was put back in service has its VIPs
// again, though failback be by hand, if it is well.
func (w *world) checkRecalled(name topology.ServerName) {
	now := time.Now()
	for _, vip := range w.site.VIPs {
		m := move{world: w, vip: vip}
		v, wants := m.verdict(name), w.belief.wants[vip.Prefix]
		byHand := vip.Failback.Mode == topology.FailbackManual || vip.Failback.Mode == topology.FailbackNever
		truth := w.truths[health.Target{Server: name, VIP: vip.Judge}]
		fit := truth != nil && truth.is == well && truth.since.Before(w.admin(name).recalled) // what failed the proof may not have been told yet
		well := fit && m.serves(name) && v.is == "up" && !v.soft && v.since.Before(w.admin(name).recalled) && w.inService(name, vip, now, 0) && w.pin(vip).ready(now, 0)
		if !byHand || !well || len(wants) == 0 || w.mayBeFrozen(bounds{}, now) {
			continue
		}
		tier := m.tier(name)
		if tier > 0 || vip.Mode == topology.Single && len(vip.Tiers[tier].Servers) > 1 {
			continue // somebody better, or its home, may wait for an operator, too
		}
		if at := wants[len(wants)-1].servers; len(at) > 0 && m.serves(at[0]) && m.tier(at[0]) > tier {
			w.breaks("an undrain brings traffic back", "%s is undrained and well, and %s is at %v", name, vip.Prefix, at)
		}
	}
}

// reload is an operator who has the configuration read again.
func (w *world) reload() {
	if w.control == nil {
		return
	}
	control := w.control
	w.clerks.Go(func() {
		_, err := control.Reload(context.Background(), api.ReloadRequest{By: "ann"})
		w.mu.Lock()
		defer w.mu.Unlock()
		text := "the new configuration runs"
		if err != nil {
			text = "the new configuration is refused"
		}
		w.say(time.Now(), "operator", "is told: %s", text)
	})
}

// checkIntent holds the controller to what operators were told.
func (w *world) checkIntent(status *api.Status) {
	for _, server := range status.Servers {
		var drain saying
		if server.Admin.State == "drain" {
			drain = saying{drained: true, until: server.Admin.Until, reboot: server.Admin.Reboot != ""}
		}
		w.holdTo(steer.Place{Server: topology.ServerName(server.Name)}, drain)
	}
	for _, vip := range status.VIPs {
		prefix, _ := parsePrefix(vip.Prefix)
		var pinned saying
		if pin := vip.Pin; pin != nil {
			pinned = saying{pinned: topology.ServerName(pin.Server), force: pin.Force, until: pin.Until}
		}
		w.holdTo(steer.Place{VIP: prefix}, pinned)
		for _, server := range w.site.Servers {
			var off saying
			for _, o := range vip.Off {
				if o.Server == string(server.Name) {
					off = saying{drained: true, until: o.Until}
				}
			}
			w.holdTo(steer.Place{Server: server.Name, VIP: prefix}, off)
		}
	}
}

// holdTo holds the controller to what was said of one place. What is open is as
// it says.
func (w *world) holdTo(place steer.Place, is saying) {
	a, now := w.word(place), time.Now()
	late := !a.said.until.IsZero() && now.After(latest(a.said.until, w.started).Add(time.Minute))
	switch {
	case a.asking > 0:
	case late && a.said == is && !a.open:
		w.breaks("what was asked for until a time ends then", "%v is still %+v", place, is)
	case !a.sure(now):
		if a.said != is || a.open {
			w.watch(now)
			if is == (saying{}) {
				a.recalled = now // by itself
			}
			if a.said.reboot && !a.open && is == (saying{}) && !w.illSince(place.Server, a.asked) {
				w.breaks("a drain until a reboot ends after one", "%s was well all the time since %s", place.Server, w.since(a.asked))
			}
			if a.said != is {
				a.said, a.since = is, now
			}
			a.open = false
		}
	case a.said.drained != is.drained || a.said.pinned != is.pinned || a.said.force != is.force || !a.said.until.Equal(is.until):
		w.breaks("intent that was acknowledged is never lost", "%v is %+v; operators were told %+v", place, is, a.said)
	}
}

// keepDrain makes the disk of a controller that is not running what it is when
// it was killed after it had kept an operator's drain, and before it acted, and
// was in the middle of keeping another.
func (w *world) keepDrain(name topology.ServerName) {
	intent, err := state.Load(w.state)
	if err == nil {
		intent = intent.Clone()
		intent.Drains[name] = state.Drain{By: "ann", Since: time.Now()}
		err = state.Save(w.state, intent)
	}
	torn := filepath.Join(filepath.Dir(w.state), "."+filepath.Base(w.state)+".new")
	err = errors.Join(err, os.WriteFile(torn, []byte(`{"version": 1, "dra`), 0o600))
	if err != nil {
		w.breaks("the disk works", "%v", err)
	}
	a := w.admin(name)
	a.said, a.open, a.since = saying{drained: true}, false, time.Now()
	w.say(time.Now(), "operator", "drained %s; the controller was killed after it had kept that", name)
}
