package cisco

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// initial is a change for a prefix that nothing is known of.
func initial(prefix string, to ...string) steer.Change {
	c := steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{netip.MustParsePrefix(prefix)}}
	for _, address := range to {
		c.To = append(c.To, steer.NextHop{Address: netip.MustParseAddr(address), Weight: 1})
	}
	return c
}

func TestConfig(t *testing.T) {
	changes := []steer.Change{initial("203.0.113.32/27", "192.0.2.11"), initial("203.0.113.96/32", "192.0.2.11", "192.0.2.12"), initial("2001:db8:100::80/128", "2001:db8:1::11")}
	for dialect, want := range map[topology.Dialect]string{
		topology.IOS: "configure terminal|ip route 203.0.113.32 255.255.255.224 192.0.2.11 name routesteer|ip route 203.0.113.96 255.255.255.255 192.0.2.11 name routesteer|" +
			"ip route 203.0.113.96 255.255.255.255 192.0.2.12 name routesteer|ipv6 route 2001:db8:100::80/128 2001:db8:1::11 name routesteer|end",
		topology.IOSXR: "configure terminal|router static|address-family ipv4 unicast|203.0.113.32/27 192.0.2.11 description routesteer|" +
			"203.0.113.96/32 192.0.2.11 description routesteer|203.0.113.96/32 192.0.2.12 description routesteer|exit|exit|" +
			"router static|address-family ipv6 unicast|2001:db8:100::80/128 2001:db8:1::11 description routesteer|exit|exit|commit|end",
		topology.FRR: "configure terminal|ip route 203.0.113.32/27 192.0.2.11 tag 5253|ip route 203.0.113.96/32 192.0.2.11 tag 5253|" +
			"ip route 203.0.113.96/32 192.0.2.12 tag 5253|ipv6 route 2001:db8:100::80/128 2001:db8:1::11 tag 5253|end",
	} {
		lines, err := Config(topology.DefaultCisco(dialect), &topology.Site{}, changes)
		if got := strings.Join(lines, "|"); got != want || err != nil {
			t.Errorf("%s: got\n%s\n%v\nwant\n%s", dialect, got, err, want)
		}
	}
}

// TestFRRTakesTheConfig pastes it into a real vtysh, and asks the driver's own
// reader what came of it.
func TestFRRTakesTheConfig(t *testing.T) {
	r := newFRR(t)
	changes := []steer.Change{initial("203.0.113.32/27", "192.0.2.11"), initial("2001:db8:100::80/128", "2001:db8:1::11")}
	cfg := topology.DefaultCisco(topology.FRR)
	lines, err := Config(cfg, &topology.Site{}, changes)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := r.Vtysh(lines...); err != nil {
		t.Fatal(err, out)
	}
	config, err := r.Vtysh("show running-config")
	if err != nil {
		t.Fatal(err)
	}
	author := newAuthor(cfg, &topology.Site{})
	var got []string
	for _, l := range parseConfig(config) {
		if author.owns(l) {
			got = append(got, l.prefix.String()+" "+l.via.String())
		}
	}
	slices.Sort(got)
	if want := []string{"2001:db8:100::80/128 2001:db8:1::11", "203.0.113.32/27 192.0.2.11"}; !slices.Equal(got, want) {
		t.Errorf("FRR has %q, want %q, of\n%s", got, want, config)
	}
}
