package lab

import "time"

// RowConnections is what became of established connections in one run.
type RowConnections struct {
	Established       int            `json:"established"` // when the fault came
	Opened            int            `json:"opened"`      // later, by the report itself
	BrokenConnections int            `json:"broken_connections"`
	BrokenWhy         map[string]int `json:"broken_why"`      // by what broke them; never null
	FirstBrokenMs     *float64       `json:"first_broken_ms"` // fault or first command to the first one found broken; null if none
	LastBrokenMs      *float64       `json:"last_broken_ms"`
	Exchanges         int            `json:"exchanges"`       // requests on established connections
	FailedOpenings    int            `json:"failed_openings"` // of those, and of those that broke and are opened again
	Connections       []RowServer    `json:"connections"`     // for each server; never null
}

// RowServer is the share of one server: of the connections that were opened
// to it, whoever has its VIPs now.
type RowServer struct {
	Server      string `json:"server"`
	Established int    `json:"established"` // when the fault came
	Opened      int    `json:"opened"`      // later
	Reopened    int    `json:"reopened"`    // later, in place of broken ones
	Broken      int    `json:"broken"`
}

// rowConnections puts the figures as a row has them.
func rowConnections(c Connections, site Site, began time.Time) RowConnections {
	row := RowConnections{Established: c.Established(), Opened: c.Opened(), BrokenConnections: c.Broken(), BrokenWhy: map[string]int{},
		Exchanges: c.Talks, FailedOpenings: c.OpenFailed, Connections: []RowServer{}}
	for result, n := range c.Why {
		row.BrokenWhy[result.String()] = n
	}
	if row.BrokenConnections > 0 {
		row.FirstBrokenMs, row.LastBrokenMs = since(began, c.First), since(began, c.Last)
	}
	for i, s := range c.Servers {
		row.Connections = append(row.Connections, RowServer{Server: site.Servers[i].Name,
			Established: s.Established, Opened: s.Opened, Reopened: s.Reopened, Broken: s.Broken})
	}
	return row
}

// At returns the share of a server; the zero value if there is no such server.
func (r RowConnections) At(server string) RowServer {
	for _, s := range r.Connections {
		if s.Server == server {
			return s
		}
	}
	return RowServer{Server: server}
}

// A leaving is a command that takes traffic from a server.
type leaving struct {
	at  time.Time
	old func(Sample) bool // that it is still answered by that server
}

// leavesServer is a drain's: nothing new may go to the server.
func leavesServer(site Site, name string) func(Sample) bool {
	return func(s Sample) bool { return s.Server >= 0 && site.Servers[s.Server].Name == name }
}

// leavesOthers is an undrain's: what is new to the server's VIPs may go to
// nobody else.
func leavesOthers(site Site, name string) func(Sample) bool {
	return func(s Sample) bool {
		return s.Server >= 0 && site.VIPs[s.VIP].Primary == name && site.Servers[s.Server].Name != name
	}
}

// lastNewOnOld returns the longest time from a command to the start of the
// last new connection that the server answered which the command takes traffic
// from; nil without such a command. A command counts until the next one.
func lastNewOnOld(samples []Sample, leavings []leaving) *float64 {
	if len(leavings) == 0 {
		return nil
	}
	var longest time.Duration
	for i, l := range leavings {
		for _, s := range samples {
			over := i+1 < len(leavings) && !s.Start.Before(leavings[i+1].at)
			if s.Kind == HTTP && s.Result == OK && !over && l.old(s) {
				longest = max(longest, s.Start.Sub(l.at))
			}
		}
	}
	v := ms(longest)
	return &v
}
