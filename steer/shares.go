package steer

import (
	"github.com/routesteer/routesteer/topology"
)

// A Share is what a server carries of a site's VIPs, beside what would be fair.
type Share struct {
	Server topology.ServerName
	Takes  bool // it may carry some VIP: it is up for it, or nothing is known, and not out of service

	// VIPs whose traffic is wanted there: prefixes, and of those that several
	// servers share the part that the server's weight gives it.
	VIPs float64
	// Fair is the part of all VIPs that the server's weight gives it, among the
	// servers that take any; 0 for one that does not.
	Fair float64
}

// Shares counts what each of the site's servers carries by in.Previous, in the
// order of the site.
func Shares(in Input) []Share { return shares(in, newLoad(in)) }

func shares(in Input, load *load) []Share {
	shares := make([]Share, len(in.Site.Servers))
	for i, server := range in.Site.Servers {
		shares[i].Server = server.Name
	}
	all := 0.0
	for _, cohort := range in.Cohorts.all {
		servers := in.Previous.For(cohort).Servers
		weight := func(server int) int {
			if len(servers) == 1 {
				return 1 // who has all needs no weighing
			}
			return in.share(&in.Site.Servers[server], cohort)
		}
		total := 0
		for _, name := range servers {
			if i := in.Cohorts.server(name, cohort); i >= 0 {
				total += weight(i)
			}
		}
		for _, name := range servers {
			if i := in.Cohorts.server(name, cohort); i >= 0 {
				part := float64(len(cohort.Prefixes)*weight(i)) / float64(total)
				shares[i].VIPs += part
				all += part
			}
		}
	}
	for i, server := range in.Site.Servers {
		if shares[i].Takes = !load.out[i]; shares[i].Takes {
			shares[i].Fair = all * float64(server.Weight) / float64(load.total)
		}
	}
	return shares
}

// Most is what a server may carry that has its share: the bound that spreading
// keeps as long as a server with room can take a VIP. It is for VIPs that move
// alone; a cohort of several may go past it.
func (s Share) Most() float64 { return overload*s.Fair + 1 }
