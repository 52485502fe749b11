package main

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/routesteer/routesteer/topology"
)

// dialects are the web servers that listenLines can write for.
func dialects() []string { return []string{"nginx", "apache"} }

// listenLines returns the lines that make a web server listen on the VIPs, at
// the ports where they are checked. What is not checked by HTTP gets a comment:
// a web server does not serve it, or at a port that we do not know.
func listenLines(site *topology.Site, vips []topology.VIP, dialect string) []string {
	var lines []string
	for _, vip := range vips {
		check, _ := site.Check(vip.Check) // Parse makes sure that it is there
		known := false
		for _, member := range site.Members(check) {
			if member.HTTP == nil {
				continue
			}
			known = true
			for _, addr := range vip.Addresses {
				line := listenLine(netip.AddrPortFrom(addr, member.HTTP.Port), member.HTTP.TLS, dialect)
				if !slices.Contains(lines, line) { // two members may ask at one port
					lines = append(lines, line)
				}
			}
		}
		if !known {
			lines = append(lines, fmt.Sprintf("# %s: not checked by http or https (check %s)", vip.Prefix, check.Name))
		}
	}
	return lines
}

// listenLine is one line. See https://nginx.org/r/listen and
// https://httpd.apache.org/docs/2.4/mod/mpm_common.html#listen.
func listenLine(at netip.AddrPort, tls bool, dialect string) string {
	switch dialect {
	case "nginx":
		if tls {
			return fmt.Sprintf("listen %s ssl;", at)
		}
		return fmt.Sprintf("listen %s;", at)
	case "apache":
		if tls {
			return fmt.Sprintf("Listen %s https", at)
		}
		return fmt.Sprintf("Listen %s http", at)
	default:
		panic("routesteer: no listen lines for " + dialect)
	}
}
