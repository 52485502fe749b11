package api

import "time"

// An Explanation is the whole story of one VIP: why its traffic goes where it
// goes, and not elsewhere.
type Explanation struct {
	Time        time.Time      `json:"time"`
	VIP         VIP            `json:"vip"`
	Cause       string         `json:"cause"`            // the kind of VIP.Why: "settled", "failover", "drained", "failback", "waiting", "kept", …
	Home        string         `json:"home,omitempty"`   // the server that it belongs to when all are well; "" in ecmp mode
	Failback    string         `json:"failback"`         // the policy
	OnAllDown   string         `json:"on_all_down"`      // the policy
	Frozen      string         `json:"frozen,omitempty"` // why failure-driven moves are withheld on the site
	Next        []Expected     `json:"next"`             // what happens if all stays as it is, and what is waited for; never null
	Servers     []Standing     `json:"servers"`          // tier by tier; never null
	Routers     []RouterAnswer `json:"routers"`          // never null
	Transitions []Transition   `json:"transitions"`      // whose connections are still ending; never null
}

// An Expected is something that is to come.
type Expected struct {
	At   time.Time `json:"at,omitzero"` // zero for no set time
	What string    `json:"what"`
}

// A Standing is what one server is to the VIP.
type Standing struct {
	Server   string    `json:"server"`
	Tier     string    `json:"tier"`
	Chosen   bool      `json:"chosen"`   // the VIP's traffic is wanted there
	Eligible bool      `json:"eligible"` // new traffic may go there
	Role     string    `json:"role"`     // why it is chosen or not, in one word: "home", "standby", "down", …
	Why      string    `json:"why"`      // and in many
	Due      time.Time `json:"due,omitzero"`
	Awaited  bool      `json:"awaited,omitempty"` // an operator let traffic return to it: it does once it is well, by no other policy
	Weight   int       `json:"weight"`
	VIPs     float64   `json:"vips"` // what it carries of all the site's VIPs
	Fair     float64   `json:"fair"` // its fair share of them
	Admin    Admin     `json:"admin"`
	Target   Target    `json:"target"` // its health as the VIP sees it
}

// A RouterAnswer is what one router does with the VIP.
type RouterAnswer struct {
	Router  string  `json:"router"`
	InSync  bool    `json:"in_sync"`           // it does as wanted
	Routes  []Route `json:"routes"`            // never null
	Problem string  `json:"problem,omitempty"` // what is wrong; "" when in sync
}
