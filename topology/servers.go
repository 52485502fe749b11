package topology

import (
	"net/netip"
	"slices"
)

// A spot is where the file gives a server address.
type spot struct {
	server ServerName
	addr   netip.Addr
	at     cursor
}

// readServers reads the section servers.
func (r *reader) readServers(f fields) {
	all := section(f, "servers", "server", "web1: 192.0.2.11")
	if len(all) > maxServers {
		all[maxServers].key.problem("more than %d servers", maxServers)
		all = all[:maxServers]
	}
	for _, e := range all {
		name := ServerName(e.name)
		server, ok := r.readServer(name, e.value)
		if !ok {
			r.servers[name] = badPlace
			continue
		}
		r.servers[name] = len(r.site.Servers)
		r.site.Servers = append(r.site.Servers, server)
	}
	r.oneServerPerAddress()
	r.sortCarriers()
}

// readServer reads one server: an address, or a mapping.
func (r *reader) readServer(name ServerName, c cursor) (Server, bool) {
	server := Server{Name: name, Weight: defaultWeight}
	if c.isWord() {
		return server, r.addAddress(&server, c)
	}
	f, ok := c.fields(serverObject, "an address such as 192.0.2.11, or a mapping with address")
	if !ok {
		return server, false
	}
	ok = setInt(f, "weight", &server.Weight, 0, 256)
	ok = setBool(f, "via_inet6", &server.ViaInet6) && ok
	ok = r.readAddresses(&server, f) && ok
	return server, ok && r.viaInet6Fits(server, f)
}

// viaInet6Fits notes via_inet6 where it would hide a mistake: a server with an
// IPv4 address gets IPv4 by that.
func (r *reader) viaInet6Fits(server Server, f fields) bool {
	if !server.ViaInet6 {
		return true
	}
	for _, address := range server.Addresses {
		if address.Is4() {
			c, _ := f.get("via_inet6")
			c.problem("server %s has the IPv4 address %s, by which IPv4 VIPs are sent to it: via_inet6 is for servers without one", server.Name, address)
			return false
		}
	}
	r.viaInet6 += len(server.Addresses)
	return true
}

// readAddresses reads address or addresses, of which a server has one.
func (r *reader) readAddresses(server *Server, f fields) bool {
	given := f.given("address", "addresses")
	switch {
	case len(given) == 0:
		f.missing([]string{"address", "addresses"}, "server %s has no address: write address: 192.0.2.11", server.Name)
		return false
	case len(given) == 2:
		f.values["addresses"].key.problem("address and addresses exclude each other: put all in addresses")
		return false
	case given[0] == "address":
		c, _ := f.get("address")
		return r.addAddress(server, c)
	}
	c, _ := f.get("addresses")
	items, ok := c.words("a list of addresses such as [192.0.2.13, 198.51.100.13]")
	for _, item := range items {
		ok = r.addAddress(server, item) && ok
	}
	return ok
}

// addAddress reads one address of a server.
func (r *reader) addAddress(server *Server, c cursor) bool {
	addr, ok := c.nextHop()
	if !ok {
		return false
	}
	server.Addresses = append(server.Addresses, addr)
	r.spots = append(r.spots, spot{server.Name, addr, c})
	return true
}

// oneServerPerAddress notes addresses that are given twice: a router could
// not tell the servers apart.
func (r *reader) oneServerPerAddress() {
	first := map[netip.Addr]spot{}
	for _, s := range r.spots {
		before, taken := first[s.addr]
		switch {
		case !taken:
			first[s.addr] = s
		case before.server == s.server:
			s.at.problem("%s is given twice for server %s", s.addr, s.server)
		default:
			s.at.problem("%s is the address of server %s already (line %d)", s.addr, before.server, before.at.node.Line)
		}
	}
}

// serverNames returns the names of all servers, bad ones included.
func (r *reader) serverNames() []string {
	var all []string
	for name := range r.servers {
		all = append(all, string(name))
	}
	slices.Sort(all)
	return all
}

// sortCarriers notes which servers have an address of each family, once for
// all VIPs.
func (r *reader) sortCarriers() {
	has := func(addr netip.Addr) []ServerName {
		var all []ServerName
		for _, server := range r.site.Servers {
			if len(server.AddressesFor(addr)) > 0 {
				all = append(all, server.Name)
			}
		}
		slices.Sort(all)
		return slices.Clip(all)
	}
	r.carriers4, r.carriers6 = has(netip.IPv4Unspecified()), has(netip.IPv6Unspecified())
}

// carriers returns the servers that have an address of the family of addr and
// are not in without, which is sorted too. VIPs share the result.
func (r *reader) carriers(addr netip.Addr, without []ServerName) []ServerName {
	all := r.carriers6
	if addr.Is4() {
		all = r.carriers4
	}
	if len(without) == 0 {
		return all
	}
	var rest []ServerName
	for _, name := range all {
		if _, found := slices.BinarySearch(without, name); !found {
			rest = append(rest, name)
		}
	}
	return rest
}
