package state

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// An Intent is what operators asked for. The zero Intent asks for nothing. VIPs
// are known by the first prefix of their entry in the file.
type Intent struct {
	Drains  map[topology.ServerName]Drain                  `json:"drains,omitempty"`
	Off     map[netip.Prefix]map[topology.ServerName]Drain `json:"off,omitempty"` // servers drained of one VIP only
	Pins    map[netip.Prefix]Pin                           `json:"pins,omitempty"`
	Resumed time.Time                                      `json:"resumed,omitzero"` // failures until then may move traffic, though they came together; zero once enough servers are back
	Recalls []Recall                                       `json:"recalls,omitempty"`

	Maintained []topology.ServerName `json:"maintained,omitempty"` // out of service by the file when that was kept last, sorted

	Moved map[topology.RouterName][]Moves `json:"moved,omitempty"` // by failures, of routers with a change_limit; the oldest first
}

// Moves are prefixes that failures moved on a router at one time.
type Moves struct {
	At       time.Time `json:"at"`
	Prefixes int       `json:"prefixes"`
}

// A Recall is traffic that may return and is not all back yet, by an operator's word:
// an undrain, an unpin, a failback, or the end of what was to last until a time.
type Recall struct {
	Server topology.ServerName `json:"server,omitempty"` // to any without one
	VIP    netip.Prefix        `json:"vip,omitzero"`     // of all without one
	Hurry  bool                `json:"hurry,omitempty"`  // whatever its failback policy waits for
	Since  time.Time           `json:"since"`

	// Fallen are servers that fell since, for a VIP at least. The next controller, which
	// does not know for which, lets nothing return to them by this word. Sorted.
	Fallen []topology.ServerName `json:"fallen,omitempty"`
}

// A Drain is a server taken out of service, or off one VIP.
type Drain struct {
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"` // it ends by itself then; zero for never
	Reboot Reboot    `json:"reboot,omitempty"`
	Asked  time.Time `json:"asked,omitzero"` // when its end after a reboot was asked for: what was seen before is not that reboot; zero for not at all, or before this was noted
}

// Reboot says that a drain ends by itself once the server has gone down and is
// well again.
type Reboot string

const (
	NoReboot      Reboot = ""
	RebootAwaited Reboot = "awaited" // the server has not gone down yet
	RebootSeen    Reboot = "seen"    // it has
)

// A Pin is a VIP that is to be at one server.
type Pin struct {
	Server topology.ServerName `json:"server"`
	Force  bool                `json:"force,omitempty"` // whatever checks say
	By     string              `json:"by,omitempty"`
	Reason string              `json:"reason,omitempty"`
	Since  time.Time           `json:"since"`
	Until  time.Time           `json:"until,omitzero"`
}

// Clone returns a copy that can be changed. It has no nil map.
func (i Intent) Clone() Intent {
	clone := Intent{
		Drains: map[topology.ServerName]Drain{}, Off: map[netip.Prefix]map[topology.ServerName]Drain{},
		Pins: map[netip.Prefix]Pin{}, Resumed: i.Resumed, Recalls: slices.Clone(i.Recalls), Maintained: slices.Clone(i.Maintained),
		Moved: map[topology.RouterName][]Moves{},
	}
	maps.Copy(clone.Drains, i.Drains)
	maps.Copy(clone.Pins, i.Pins)
	maps.Copy(clone.Moved, i.Moved) // what is in it is replaced, never changed
	for prefix, servers := range i.Off {
		clone.Off[prefix] = maps.Clone(servers)
	}
	return clone
}

// Recall lets traffic return. An earlier word for the same traffic is forgotten.
func (i *Intent) Recall(r Recall) {
	i.Recalls = slices.DeleteFunc(i.Recalls, func(old Recall) bool {
		return old.Server == r.Server && old.VIP == r.VIP && old.Hurry == r.Hurry
	})
	i.Recalls = append(i.Recalls, r)
}

// Take takes a server off a VIP.
func (i Intent) Take(server topology.ServerName, vip netip.Prefix, drain Drain) {
	if i.Off[vip] == nil {
		i.Off[vip] = map[topology.ServerName]Drain{}
	}
	i.Off[vip][server] = drain
}

// Give ends Take.
func (i Intent) Give(server topology.ServerName, vip netip.Prefix) {
	delete(i.Off[vip], server)
	if len(i.Off[vip]) == 0 {
		delete(i.Off, vip)
	}
}
