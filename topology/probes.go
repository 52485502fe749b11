package topology

import (
	"net/netip"
	"slices"
)

// A Probe is one check made again and again, of several servers: the check of a
// Judge or, where that is of several, one of its members. A member through the
// servers' own addresses asks the same for all judges, and is one Probe for them.
type Probe struct {
	VIP     VIP       // whose addresses are checked
	Check   Check     // never of several
	Member  CheckName // Check's name if it is a member; "" if it is the VIP's whole check
	Servers []ServerName
}

// A Part says under which VIP and name the verdicts of one member of a VIP's check
// are kept.
type Part struct {
	VIP    netip.Prefix
	Member CheckName
}

// Probes returns all that is to be checked, sorted by prefix and then in the order
// of the file, and the parts of each judge, by its prefix, whose check is of
// several. It takes time in proportion to the number of VIPs.
func (s *Site) Probes() (probes []Probe, parts map[netip.Prefix][]Part) {
	parts = map[netip.Prefix][]Part{}
	type question struct {
		member CheckName
		is4    bool
	}
	shared := map[question]int{} // in probes
	for _, judge := range s.Judges() {
		whole, _ := s.Check(judge.VIP.Check)
		if whole.Group == nil {
			probes = append(probes, Probe{VIP: judge.VIP, Check: whole, Servers: judge.Servers})
			continue
		}
		for _, check := range s.Members(whole) {
			q := question{check.Name, judge.VIP.Prefix.Addr().Is4()}
			at, known := shared[q]
			if !known || check.Through != ThroughAddress {
				at = len(probes)
				shared[q] = at
				probes = append(probes, Probe{VIP: judge.VIP, Check: check, Member: check.Name, Servers: judge.Servers})
			}
			probes[at].add(judge.Servers)
			parts[judge.VIP.Prefix] = append(parts[judge.VIP.Prefix], Part{probes[at].VIP.Prefix, check.Name})
		}
	}
	return probes, parts
}

func (p *Probe) add(servers []ServerName) {
	if slices.Equal(p.Servers, servers) {
		return
	}
	p.Servers = slices.Clone(p.Servers) // a judge's
	for _, name := range servers {
		if !slices.Contains(p.Servers, name) {
			p.Servers = append(p.Servers, name)
		}
	}
}
