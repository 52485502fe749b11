package whatif

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// drained is what a server is that an operator takes out of service.
const drained = "drained"

// own is a copy of a will that can be changed.
func own(will steer.Will) steer.Will {
	copied := steer.Will{
		Drained: map[topology.ServerName]string{}, Off: map[steer.Place]string{}, Pins: map[netip.Prefix]steer.Pin{}, Resumed: will.Resumed,
		Recalled: ownRecall(will.Recalled), Hurried: ownRecall(will.Hurried),
	}
	maps.Copy(copied.Drained, will.Drained)
	maps.Copy(copied.Off, will.Off)
	maps.Copy(copied.Pins, will.Pins)
	return copied
}

func ownRecall(r steer.Recall) steer.Recall {
	return steer.Recall{Servers: maps.Clone(r.Servers), VIPs: maps.Clone(r.VIPs)}
}

// An End is when what an operator asked for ends by itself: the undrain of one
// server, or of one of one VIP, or the unpin of a VIP.
type End struct {
	At   time.Time
	Step Step
}

// lapse ends what is over.
func (w *World) lapse() {
	for _, end := range slices.Clone(w.ends) {
		if !end.At.After(w.in.Now) {
			w.ask(end.Step)
		}
	}
	w.regroup()
}

// over forgets the ends of what has ended.
func (w *World) over(verb Verb, name topology.ServerName, vip netip.Prefix) {
	w.ends = slices.DeleteFunc(w.ends, func(end End) bool {
		of := netip.Prefix{}
		if len(end.Step.VIPs) > 0 {
			of = end.Step.VIPs[0]
		}
		return end.Step.Verb == verb && of == vip && (verb == Unpin || end.Step.Servers[0] == name)
	})
}

// An effect is what an operator's step does.
type effect struct {
	changed bool                  // it asks for what was not so before
	taken   []topology.ServerName // servers that it takes out of service, or off VIPs
	refused []string              // why it would be refused, and was not done
}

// ask notes what an operator asks for by the step.
func (w *World) ask(step Step) effect {
	switch step.Verb {
	case Drain:
		return w.drain(step)
	case Undrain:
		return w.undrain(step)
	case Pin:
		return w.pin(step.VIPs[0], step.Servers[0])
	case Unpin:
		prefix := step.VIPs[0]
		_, pinned := w.asked.Pins[prefix]
		delete(w.asked.Pins, prefix)
		w.over(Unpin, "", prefix)
		if pinned {
			w.asked.Recalled.Add(steer.Place{VIP: prefix}, w.in.Now)
		}
		return effect{changed: pinned}
	case Failback:
		w.hurry(step)
		return effect{changed: true}
	case Resume:
		w.asked.Resumed = w.in.Now
		return effect{changed: true}
	default:
		panic("whatif: no operator asks for " + string(step.Verb))
	}
}

// hurry lets traffic return at once: of VIPs, to servers, or all.
func (w *World) hurry(step Step) {
	if len(step.Servers)+len(step.VIPs) == 0 {
		w.asked.Hurried.Add(steer.Place{}, w.in.Now)
	}
	for _, name := range step.Servers {
		w.asked.Hurried.Add(steer.Place{Server: name}, w.in.Now)
	}
	for _, prefix := range step.VIPs {
		w.asked.Hurried.Add(steer.Place{VIP: prefix}, w.in.Now)
	}
}

func (w *World) drain(step Step) effect {
	var e effect
	for _, name := range step.Servers {
		fresh := w.asked.Drained[name] == ""
		if len(step.VIPs) == 0 {
			w.asked.Drained[name] = drained
		} else {
			fresh = false
		}
		for _, prefix := range step.VIPs {
			place := steer.Place{Server: name, VIP: prefix}
			fresh = fresh || w.asked.Off[place] == ""
			w.asked.Off[place] = drained + " of it"
		}
		if fresh {
			e.changed, e.taken = true, append(e.taken, name)
		}
	}
	return e
}

func (w *World) undrain(step Step) effect {
	var e effect
	for _, name := range step.Servers {
		if len(step.VIPs) == 0 {
			if w.asked.Drained[name] != "" {
				w.asked.Recalled.Add(steer.Place{Server: name}, w.in.Now)
				e.changed = true
			}
			delete(w.asked.Drained, name)
			w.over(Undrain, name, netip.Prefix{})
		}
		for _, prefix := range step.VIPs {
			place := steer.Place{Server: name, VIP: prefix}
			if w.asked.Off[place] != "" {
				w.asked.Recalled.Add(place, w.in.Now)
				e.changed = true
			}
			delete(w.asked.Off, place)
			w.over(Undrain, name, prefix)
		}
	}
	return e
}

// pin pins a VIP to a server, if that can carry it.
func (w *World) pin(prefix netip.Prefix, name topology.ServerName) effect {
	in := w.input()
	if against := in.Against(name, in.Cohorts.Of(prefix)); against != "" {
		return effect{refused: []string{fmt.Sprintf("%s: %s", prefix, against)}}
	}
	pin := steer.Pin{Server: name}
	changed := w.asked.Pins[prefix] != pin
	w.over(Unpin, "", prefix) // it lasts, whatever was asked for before
	w.asked.Pins[prefix] = pin
	return effect{changed: changed}
}

// regroup sorts VIPs into cohorts anew, if something is asked of one alone.
func (w *World) regroup() {
	if divided := w.in.Cohorts.Divide(w.asked.Apart()...); divided != w.in.Cohorts {
		w.in.Cohorts = divided
		w.in.Previous = steer.Assign(w.in.Cohorts, w.in.Previous.For)
	}
}
