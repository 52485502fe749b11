package steer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

func (d *decision) causeOf(from []topology.ServerName, vip *Cohort) Cause {
	if slices.ContainsFunc(from, func(name topology.ServerName) bool {
		return d.verdict(name, vip) == health.Down && d.Off(name, vip) == ""
	}) {
		return Failover
	}
	return Drained
}

// lossOf says what became of the servers that traffic must leave.
func (d *decision) lossOf(servers []topology.ServerName, vip *Cohort) string {
	text := ""
	for _, name := range servers {
		switch {
		case d.holds(name, vip):
		case text == "":
			text = d.plight(name, vip)
		default:
			text += ", " + d.plight(name, vip)
		}
	}
	return text
}

func (in *Input) plight(name topology.ServerName, vip *Cohort) string {
	switch {
	case !vip.has(name):
		return string(name) + " no longer serves it"
	case in.Off(name, vip) != "":
		return string(name) + " is " + in.Off(name, vip)
	default:
		return string(name) + " is down: " + in.state(name, vip).Why
	}
}

func (d *decision) allDown(vip *Cohort) string {
	var words []string
	for _, name := range vip.Servers() {
		words = append(words, d.plight(name, vip))
	}
	return strings.Join(words, "; ")
}

func (d *decision) returned(vip *Cohort, to, from []topology.ServerName) string {
	to = slices.DeleteFunc(slices.Clone(to), func(name topology.ServerName) bool { return slices.Contains(from, name) })
	return fmt.Sprintf("%s back in service (%s)", names(to), vip.Tiers[tierOf(vip, to[0])].Name)
}

func (d *decision) settledWhy(vip *Cohort, servers []topology.ServerName) string {
	verb := "is"
	if len(servers) > 1 {
		verb = "are"
	}
	return names(servers) + " " + verb + " " + vip.Tiers[tierOf(vip, servers[0])].Name
}

func names(servers []topology.ServerName) string {
	if len(servers) == 1 {
		return string(servers[0])
	}
	words := make([]string, len(servers))
	for i, name := range servers {
		words[i] = string(name)
	}
	return strings.Join(words, ", ")
}
