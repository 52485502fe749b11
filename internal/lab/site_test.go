package lab

import (
	"fmt"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/topology"
)

func TestTheControllerReadsTheSiteThatTheLabWrites(t *testing.T) {
	for _, c := range []struct {
		family        Family
		servers, vips int
		profile       Profile
		failback      string
	}{
		{IPv4, 4, 4, Default, "{after: 1s}"},
		{IPv4, 4, 7, Fast, "immediate"},
		{IPv4, 1, 1, Default, "manual"},
		{IPv4, 20, 1000, Fast, "never"},
		{IPv6, 4, 4, Default, "{after: 1s}"},
		{IPv6, MaxServers, 1000, Fast, "immediate"},
	} {
		site, err := PlanSite(c.family, c.servers, c.vips, Switched)
		if err != nil {
			t.Fatal(err)
		}
		text, err := site.config(c.profile, c.failback, "{linux: {}}")
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := topology.Parse("site.yaml", []byte(text))
		if err != nil {
			t.Errorf("%s, %d servers, %d VIPs: %v", c.family, c.servers, c.vips, err)
			continue
		}
		if len(parsed.VIPs) != c.vips || len(parsed.Servers) != c.servers {
			t.Errorf("parsed %d servers and %d VIPs, want %d and %d", len(parsed.Servers), len(parsed.VIPs), c.servers, c.vips)
		}
	}
}

func TestTheArticlesSite(t *testing.T) {
	for family, want := range map[Family][]string{
		IPv4: {"203.0.113.32/27 203.0.113.33 web1 192.0.2.11", "203.0.113.64/27 203.0.113.65 web2 192.0.2.12",
			"203.0.113.96/27 203.0.113.97 web3 192.0.2.13", "203.0.113.128/27 203.0.113.129 web4 192.0.2.14"},
		IPv6: {"2001:db8:64:1::/64 2001:db8:64:1::1 web1 2001:db8:2::11", "2001:db8:64:2::/64 2001:db8:64:2::1 web2 2001:db8:2::12",
			"2001:db8:64:3::/64 2001:db8:64:3::1 web3 2001:db8:2::13", "2001:db8:64:4::/64 2001:db8:64:4::1 web4 2001:db8:2::14"},
	} {
		site, err := PlanSite(family, 4, 4, Switched)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range site.VIPs {
			got := fmt.Sprintf("%s %s %s %s", v.Prefix, v.Address, v.Primary, site.Servers[i].Address)
			if got != want[i] {
				t.Errorf("VIP %d is %s, want %s", i, got, want[i])
			}
		}
	}
}

func TestASiteThatCannotBeSaysWhatCan(t *testing.T) {
	for _, c := range []struct {
		family        Family
		servers, vips int
		links         Links
		want          string
	}{
		{IPv4, 0, 1, Switched, "between 1 and 200"},
		{IPv4, 201, 1, Switched, "between 1 and 200"},
		{IPv6, 1, MaxVIPs + 1, Switched, "between 1 and 10000"},
		{IPv4, 1, 1, "wireless", "switched"},
		{"ipx", 1, 1, Switched, "ipv6"},
	} {
		_, err := PlanSite(c.family, c.servers, c.vips, c.links)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want an error with %q", c, err, c.want)
		}
	}
}
