package probe

import (
	"crypto/x509"
	"net/netip"
	"reflect"
	"slices"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// A way is one address of a server, as checks can take it.
type way struct {
	path     *path
	presence *presence
}

// A plan is all there is to know for checking one target. It never changes.
type plan struct {
	target    health.Target
	check     topology.Check
	roots     *x509.CertPool // who may have signed certificates; nil stands for the system's
	addresses []netip.Addr   // of the VIP
	ways      []way          // of the server, in order of preference; of the VIP's family
}

func (p plan) equal(q plan) bool {
	return p.target == q.target && reflect.DeepEqual(p.check, q.check) && p.roots.Equal(q.roots) &&
		slices.Equal(p.addresses, q.addresses) && slices.Equal(p.ways, q.ways)
}

// way is the one that routers use: that by the address in use, which may be the
// zero Addr, unless it is lost; else the first that is neither lost nor silent. An
// address is silent when it has never answered echo while another one of the
// server answers: it may have been dead from the start.
func (p plan) way(inUse netip.Addr) (way, error) {
	if len(p.ways) == 0 {
		return way{}, failf("the server has no address of the VIP's family")
	}
	for _, w := range p.ways {
		if w.path.address == inUse && !w.presence.lost.Load() {
			return w, nil
		}
	}
	answers := slices.ContainsFunc(p.ways, func(w way) bool { return w.presence.answers() })
	for _, w := range p.ways {
		silent := answers && !w.presence.found.Load()
		if !silent && !w.presence.lost.Load() {
			return w, nil
		}
	}
	return p.ways[0], nil
}

// aims are what one round has to check, and the way that it goes: each address of
// the VIP through the server, or the server's own. That one needs no mark: the
// machine's routes lead to it anyway, also when it is further away than a next hop
// may be.
func (p plan) aims(inUse netip.Addr) ([]aim, way, error) {
	w, err := p.way(inUse)
	if err != nil {
		return nil, way{}, err
	}
	if p.check.Through == topology.ThroughAddress {
		return []aim{{to: w.path.address, by: w.path.address}}, w, nil
	}
	aims := make([]aim, len(p.addresses))
	for i, address := range p.addresses {
		if words := w.path.obstacle(address); words != "" {
			return nil, way{}, failf("%s", words)
		}
		aims[i] = aim{to: address, mark: w.path.mark, by: w.path.address}
	}
	return aims, w, nil
}

// width is how many aims there are.
func (p plan) width() int {
	if p.check.Through == topology.ThroughAddress {
		return 1
	}
	return len(p.addresses)
}

// plans makes the site's plans.
func plans(site *topology.Site, trusted authorities, paths map[lane]*path, presences map[serverAddress]*presence) map[health.Target]plan {
	all := map[health.Target]plan{}
	probes, _ := site.Probes()
	for _, probe := range probes {
		vip, check := probe.VIP, probe.Check
		for _, name := range probe.Servers {
			server, ok := site.Server(name)
			if !ok {
				panic("probe: a tier without its server: " + string(name))
			}
			p := plan{target: health.Target{Server: name, VIP: vip.Prefix, Member: probe.Member}, check: check, roots: trusted.of(check), addresses: vip.Addresses}
			for _, address := range server.AddressesFor(vip.Prefix.Addr()) {
				p.ways = append(p.ways, way{paths[lane{address, vip.Prefix.Addr().Is4()}], presences[serverAddress{name, address}]})
			}
			all[p.target] = p
		}
	}
	return all
}
