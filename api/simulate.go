package api

import "time"

// A SimulateRequest asks what would become of the site by steps that nobody
// takes.
type SimulateRequest struct {
	// Steps are taken one after the other: "down web1", "up web1", "drain
	// web1,web2" (both at once), "undrain web1", "after 60s". At most 200.
	Steps []string `json:"steps,omitempty"`
	// Losses tries, after the steps, the loss of each server (1), or that and of
	// every two (2).
	Losses int `json:"losses,omitempty"`
	// Capacity is how many VIPs a server can carry; 0 means 1.25 times its fair
	// share, and one.
	Capacity int `json:"capacity,omitempty"`
	// Prove has servers checked before that drained traffic would go to, as Drain
	// does, and those that are undrained: who fails is down in the simulation.
	Prove bool `json:"prove,omitempty"`
	// LimitMs is how long losses may be tried, in milliseconds; 0 means 60,000, and
	// 600,000 is the most.
	LimitMs int64 `json:"limit_ms,omitempty"`
}

// A Simulation is what would become of a site.
type Simulation struct {
	File     string    `json:"file"`
	Live     bool      `json:"live"` // it began with the site as it is; else with a file alone, all servers up and every VIP where it belongs
	Time     time.Time `json:"time"` // when it begins
	VIPs     int       `json:"vips"` // prefixes of the site
	Capacity int       `json:"capacity,omitempty"`

	Start  Situation       `json:"start"`
	Steps  []SimulatedStep `json:"steps"`  // never null
	Losses []Losses        `json:"losses"` // of one server, and of two; never null
}

// End is how things stand after the last step.
func (s *Simulation) End() Situation {
	if len(s.Steps) == 0 {
		return s.Start
	}
	return s.Steps[len(s.Steps)-1].Situation
}

// A SimulatedStep is one step, and what comes of it.
type SimulatedStep struct {
	Step    string          `json:"step"`
	At      string          `json:"at"`                 // how much time has passed since the beginning when it is over
	Moved   int             `json:"moved"`              // prefixes whose next hops change
	Moves   []SimulatedMove `json:"moves"`              // never null
	LeftOut int             `json:"left_out,omitempty"` // moves that are not listed
	Refused []string        `json:"refused"`            // why the drain would be refused without force: VIPs that nobody else can carry; never null
	Situation
}

// A SimulatedMove is a Move, and when it would be made.
type SimulatedMove struct {
	Move
	At string `json:"at"` // since the beginning
}

// A Situation is how things stand.
type Situation struct {
	Load     []ServerLoad `json:"load"`             // of every server; never null
	Unserved []Unserved   `json:"unserved"`         // VIPs without a server; never null
	Frozen   string       `json:"frozen,omitempty"` // why failure-driven moves are withheld
}

// A ServerLoad is what a server carries.
type ServerLoad struct {
	Server string `json:"server"`
	State  string `json:"state"` // "in service", "drained", "out" (not up for any VIP)

	// VIPs counts prefixes whose traffic is wanted there; of those in ecmp mode the
	// part that its weight gives it.
	VIPs float64 `json:"vips"`
	Fair float64 `json:"fair"` // the same, if all were shared by weight among the servers in service
	Most float64 `json:"most"` // above it, a server is overloaded: the capacity, or 1.25 times Fair and one

	Overloaded bool `json:"overloaded"`
}

// An Unserved is a VIP whose traffic goes to no server that may carry it.
type Unserved struct {
	VIP  string `json:"vip"`            // the first, if several
	VIPs int    `json:"vips,omitempty"` // how many, if several
	Name string `json:"name,omitempty"`
	Why  string `json:"why"`
}

// Losses are what the loss of one server, or of two at once, would bring. Of two,
// only that is told which neither of them brings alone.
type Losses struct {
	AtOnce   int `json:"at_once"`
	Possible int `json:"possible"` // of servers that carry VIPs or could
	Tried    int `json:"tried"`    // fewer, if it took too long: those of servers with most VIPs
	Harmless int `json:"harmless"` // every VIP has a server, and no server too much
	Strand   int `json:"strand"`   // leave VIPs without a server
	Overload int `json:"overload"` // give a server too much

	Stranding   []Loss `json:"stranding"`   // the worst 1000, worst first; never null
	Overloading []Loss `json:"overloading"` // the same
}

// A Loss is what the loss of servers would bring.
type Loss struct {
	Servers    []string     `json:"servers"`
	Moved      int          `json:"moved"`            // prefixes that would move
	VIPs       int          `json:"vips"`             // prefixes without a server
	Unserved   []string     `json:"unserved"`         // the first 20 of them; never null
	Over       int          `json:"over"`             // servers with too much
	Overloaded []ServerLoad `json:"overloaded"`       // the worst 20 of them; never null
	Frozen     string       `json:"frozen,omitempty"` // why failures would move nothing
}
