package main

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/internal/show"
	"github.com/routesteer/routesteer/topology"
)

// zoneFlags are the flags of dns zone.
type zoneFlags struct {
	config string
	name   string // of VIPs that have none
	ttl    int    // seconds
}

// A zone is what dns zone prints as JSON.
type zone struct {
	Records []record `json:"records"` // never empty
}

// A record is an A or AAAA record (RFC 1035, RFC 3596).
type record struct {
	Name    string     `json:"name"` // relative to the zone
	TTL     int        `json:"ttl"`  // seconds
	Type    string     `json:"type"` // A or AAAA
	Address netip.Addr `json:"address"`
}

func (a *app) dnsCommand() *cobra.Command {
	command := &cobra.Command{Use: "dns", Short: "Prepare the DNS"}
	command.AddCommand(a.dnsZoneCommand())
	return command
}

func (a *app) dnsZoneCommand() *cobra.Command {
	flags := &zoneFlags{}
	command := &cobra.Command{
		Use:   "zone",
		Short: "Print the VIPs' records for a zone file",
		Long: `Print an A or AAAA record for each address that servers carry, to be included
in the zone's file. A VIP's records have its name. VIPs without a name share the
one that --name gives: resolvers hand out their addresses in turn, and so spread
clients over the VIPs. A server that is lost needs no change of them.`,
		Example: `  routesteer dns zone -c site.yaml > /etc/bind/vips.example.com
  echo '$INCLUDE /etc/bind/vips.example.com' >> /etc/bind/db.example.com
  routesteer dns zone --name web --ttl 300`,
		Args: atMost(0),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := flags.check(command); err != nil {
				return err
			}
			return a.dnsZone(flags)
		},
	}
	command.Flags().StringVarP(&flags.config, "config", "c", defaultConfig, "the configuration file")
	command.Flags().StringVar(&flags.name, "name", "www", "the name of VIPs that have none; @ is the zone's own")
	command.Flags().IntVar(&flags.ttl, "ttl", 60, "how long resolvers may keep a record, in seconds")
	return command
}

func (f *zoneFlags) check(command *cobra.Command) error {
	switch {
	case f.name != "@" && !isHostName(f.name):
		return usageError(command, "--name %q is no host name", f.name)
	case f.ttl < 0 || f.ttl > math.MaxInt32: // RFC 2181, 8
		return usageError(command, "--ttl is %d: want 0 to %d", f.ttl, math.MaxInt32)
	}
	return nil
}

// hostLabel is one label of a host's name (RFC 1123, 2.1).
var hostLabel = regexp.MustCompile(`^[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?$`)

// isHostName reports whether a name server would take addresses for the name.
func isHostName(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if !hostLabel.MatchString(label) {
			return false
		}
	}
	return true
}

func (a *app) dnsZone(flags *zoneFlags) error {
	site, err := a.readSite(flags.config)
	if err != nil {
		return err
	}
	answer, err := zoneOf(site, flags)
	if err != nil {
		return err
	}
	return a.print(answer, func(show.Style) string { return answer.text(flags.config) })
}

func zoneOf(site *topology.Site, flags *zoneFlags) (zone, error) {
	var z zone
	for _, entry := range site.Entries() {
		name := entry.VIP.Name
		if name == "" {
			name = flags.name
		} else if !isHostName(name) {
			return zone{}, fmt.Errorf("VIP %s: %q cannot be a host's name in the DNS: that has letters, digits and hyphens; name it otherwise in %s",
				entry.VIP.Prefix, name, site.File)
		}
		for _, address := range entry.VIP.Addresses {
			z.Records = append(z.Records, record{name, flags.ttl, recordType(address), address})
		}
	}
	return z, nil
}

func recordType(address netip.Addr) string {
	if address.Is4() {
		return "A"
	}
	return "AAAA"
}

func (z zone) text(file string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "; the VIPs of %q, by routesteer dns zone\n", file)
	for _, r := range z.Records {
		fmt.Fprintf(&b, "%s\t%d\tIN\t%s\t%s\n", r.Name, r.TTL, r.Type, r.Address)
	}
	return b.String()
}
