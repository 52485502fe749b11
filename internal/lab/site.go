package lab

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Links says how servers are wired to the router.
type Links string

const (
	Switched Links = "switched" // through a switch: the router's link stays up whatever a server does
	Direct   Links = "direct"   // each on a port of the router, which sees the carrier go
)

// Profile names a set of intervals for the controller's checks.
type Profile string

const (
	Default Profile = "default" // what an operator gets who sets nothing
	Fast    Profile = "fast"    // the quickest that is sane in one building
)

// pace holds the figures of a Profile.
type pace struct {
	interval, fastInterval, timeout, alive time.Duration
	fall, rise                             int
}

func (p Profile) pace() (pace, error) {
	switch p {
	case Default, "":
		return pace{interval: time.Second, fastInterval: 200 * time.Millisecond, timeout: 500 * time.Millisecond,
			alive: 200 * time.Millisecond, fall: 3, rise: 2}, nil
	case Fast:
		return pace{interval: 100 * time.Millisecond, fastInterval: 50 * time.Millisecond, timeout: 100 * time.Millisecond,
			alive: 20 * time.Millisecond, fall: 2, rise: 2}, nil
	default:
		return pace{}, fmt.Errorf("profile %q: there are %q and %q", string(p), Default, Fast)
	}
}

// What the address ranges hold.
const (
	MaxServers = 200   // 192.0.2.11 to .210
	MaxVIPs    = 10000 // more have not been tried
)

// A Site is what the lab builds: who there is and which address they have.
// It is immutable once planned.
type Site struct {
	Servers []Server
	VIPs    []VIP
	Links   Links
	Family  Family

	// A host's address with the length of its link.
	Client   netip.Prefix
	WAN, LAN netip.Prefix // the router's, to the client and to the servers
}

// A Server is one web server of the Site.
type Server struct {
	Name    string
	Address netip.Addr
}

// A VIP is one prefix that the router steers, with the one address of it that
// servers carry, and the server that normally gets its traffic.
type VIP struct {
	Prefix  netip.Prefix
	Address netip.Addr
	Primary string
}

// PlanSite plans a site of that many servers and VIPs. VIP i belongs to
// server i; further VIPs go round again.
func PlanSite(family Family, servers, vips int, links Links) (Site, error) {
	if servers < 1 || servers > MaxServers {
		return Site{}, fmt.Errorf("lab of %d servers: between 1 and %d are possible", servers, MaxServers)
	}
	if vips < 1 || vips > MaxVIPs {
		return Site{}, fmt.Errorf("lab of %d VIPs: between 1 and %d are possible", vips, MaxVIPs)
	}
	switch links {
	case Switched, Direct:
	default:
		return Site{}, fmt.Errorf("links %q: there are %q and %q", string(links), Switched, Direct)
	}
	plan, err := family.addressing(vips)
	if err != nil {
		return Site{}, err
	}
	site := Site{Family: family, Links: links, Client: plan.client, WAN: plan.wan, LAN: plan.lan}
	for i := range servers {
		site.Servers = append(site.Servers, Server{Name: fmt.Sprintf("web%d", i+1), Address: plan.server(i)})
	}
	for i := range vips {
		prefix, address := plan.vip(i)
		site.VIPs = append(site.VIPs, VIP{Prefix: prefix, Address: address, Primary: site.Servers[i%servers].Name})
	}
	return site, nil
}

// server returns the server of that name.
func (s Site) server(name string) (Server, error) {
	for _, server := range s.Servers {
		if server.Name == name {
			return server, nil
		}
	}
	return Server{}, fmt.Errorf("unknown server %q: the lab has %s", name, strings.Join(s.names(), ", "))
}

func (s Site) names() []string {
	names := make([]string, len(s.Servers))
	for i, server := range s.Servers {
		names[i] = server.Name
	}
	return names
}

// config writes the site as the file that an operator would give to
// `routesteer run`; router is the router's driver and its settings. Without a
// backup tier all other servers are the backups.
func (s Site) config(profile Profile, failback, router string) (string, error) {
	p, err := profile.pace()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("# Written by routesteer lab for one lab; it goes with it.\nservers:\n")
	for _, server := range s.Servers {
		fmt.Fprintf(&b, "  %s: {address: %s}\n", server.Name, server.Address)
	}
	fmt.Fprintf(&b, "\nchecks:\n  web: {http: {port: %d, path: %s}, interval: %s, fast_interval: %s, timeout: %s, rise: %d, fall: %d}\n",
		httpPort, healthPath, p.interval, p.fastInterval, p.timeout, p.rise, p.fall)
	fmt.Fprintf(&b, "alive: {interval: %s, fall: 3}\n\nvips:\n", p.alive)
	for _, vip := range s.VIPs {
		fmt.Fprintf(&b, "  - {prefix: %s, addresses: [%s], check: web, primary: %s}\n", vip.Prefix, vip.Address, vip.Primary)
	}
	fmt.Fprintf(&b, "\nrouters:\n  edge: %s\n\npolicy: {failback: %s}\n", router, failback)
	return b.String(), nil
}
