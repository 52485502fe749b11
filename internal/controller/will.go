package controller

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/internal/state"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

const drained = "drained" // what a server is that an operator took out of service

// asked is what operators ask for.
func asked(intent state.Intent) steer.Will {
	will := steer.Will{Drained: map[topology.ServerName]string{}, Resumed: intent.Resumed}
	for name := range intent.Drains {
		will.Drained[name] = drained
	}
	for prefix, servers := range intent.Off {
		for name := range servers {
			if will.Off == nil {
				will.Off = map[steer.Place]string{}
			}
			will.Off[steer.Place{Server: name, VIP: prefix}] = drained + " of it"
		}
	}
	for prefix, pin := range intent.Pins {
		if will.Pins == nil {
			will.Pins = map[netip.Prefix]steer.Pin{}
		}
		will.Pins[prefix] = steer.Pin{Server: pin.Server, Force: pin.Force}
	}
	for _, r := range intent.Recalls {
		of := &will.Recalled
		if r.Hurry {
			of = &will.Hurried
		}
		of.Add(steer.Place{Server: r.Server, VIP: r.VIP}, r.Since)
	}
	return will
}

// followed is the intent with what is asked of VIPs under the first prefixes that their
// entries have in this file, which may be others than in the file that it was asked by.
// What another word stands in the way of stays as it is, and asks for nothing.
func followed(intent state.Intent, site *topology.Site) state.Intent {
	after := intent.Clone()
	for _, prefix := range slices.SortedFunc(maps.Keys(intent.Pins), steer.ComparePrefix) {
		entry := entryOf(site, prefix)
		if _, taken := after.Pins[entry]; !taken {
			after.Pins[entry] = intent.Pins[prefix]
			delete(after.Pins, prefix)
		}
	}
	for i, r := range after.Recalls {
		after.Recalls[i].VIP = entryOf(site, r.VIP)
	}
	for _, prefix := range slices.SortedFunc(maps.Keys(intent.Off), steer.ComparePrefix) {
		entry := entryOf(site, prefix)
		for name, drain := range intent.Off[prefix] {
			if _, taken := after.Off[entry][name]; !taken {
				after.Give(name, prefix)
				after.Take(name, entry, drain)
			}
		}
	}
	return after
}

// entryOf is the first prefix of the entry that has the prefix, or that itself.
func entryOf(site *topology.Site, prefix netip.Prefix) netip.Prefix {
	if vip, known := site.VIP(prefix); known {
		return vip.Entry
	}
	return prefix
}

// will is what operators and the file ask for.
func (v view) will(now time.Time) steer.Will { return asked(v.intent).During(v.site, now) }

// rehearsal is how long before a maintenance its standbys are checked as often as
// if they carried the traffic that they are about to get.
const rehearsal = 30 * time.Second

// nextRehearsal is when the next one begins; zero for never.
func nextRehearsal(site *topology.Site, now time.Time) time.Time {
	var next time.Time
	for _, m := range site.Maintenance {
		if begin, comes := m.Next(now); comes && begin.Sub(now) > rehearsal {
			next = earlier(next, begin.Add(-rehearsal))
		}
	}
	return next
}

// leavingSoon are the servers whose maintenance begins within the rehearsal.
func leavingSoon(site *topology.Site, now time.Time) map[topology.ServerName]bool {
	soon := map[topology.ServerName]bool{}
	for _, m := range site.Maintenance {
		if begin, comes := m.Next(now); comes && begin.Sub(now) <= rehearsal {
			for _, name := range m.Servers {
				soon[name] = true
			}
		}
	}
	return soon
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// earlier is the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return cmp.Or(b, a)
	}
	return a
}
