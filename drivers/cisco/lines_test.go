package cisco

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/topology"
)

// TestConfigurationsAreRead reads what each dialect prints, in all orders of
// options that are known, and leaves what is not understood as it is.
func TestConfigurationsAreRead(t *testing.T) {
	for name, c := range map[string]struct{ config, want string }{
		"ios": {`
Load for five secs: 1%/0%; one minute: 2%; five minutes: 1%
ip route 10.1.1.0 255.255.255.224 10.0.0.1 tag 77 name routesteer-web1
ip route 10.1.1.32 255.255.255.224 10.0.0.2 10 name routesteer-web2
ip route 10.1.1.64 255.255.255.255 GigabitEthernet0/2 10.0.0.3
ip route vrf RED 10.1.2.0 255.255.255.224 10.0.0.1 track 150
ip route 10.1.3.0 255.255.255.0 10.0.0.1 name X track 150 tag 100
ip route 10.1.4.0 255.255.255.0 10.0.0.1 110 multicast name Y
ip route 10.1.5.0 255.255.255.0 10.0.0.1 name route_1 tag 60 permanent
ip route 10.1.6.0 255.255.255.0 Null0
ip route 10.1.6.0 255.255.254.255 10.0.0.1
ipv6 route 2001:DB8:1::1/128 2001:DB8::11 5 tag 9
R1#`, `
10.1.1.0/27 via 10.0.0.1 distance 1 tag 77 name routesteer-web1
10.1.1.32/27 via 10.0.0.2 distance 10 name routesteer-web2
10.1.1.64/32 via 10.0.0.3 on GigabitEthernet0/2 distance 1
RED 10.1.2.0/27 via 10.0.0.1 distance 1 and track 150
10.1.3.0/24 via 10.0.0.1 distance 1 name X and track 150 tag 100
10.1.4.0/24 via 10.0.0.1 distance 110 and multicast name Y
10.1.5.0/24 via 10.0.0.1 distance 1 tag 60 name route_1 permanent
10.1.6.0/24 on Null0 distance 1
2001:db8:1::1/128 via 2001:db8::11 distance 5 tag 9`},
		"nxos": {`
ip route 10.1.1.0/27 10.0.0.1 name routesteer-web1 tag 5 10
ip route 10.1.1.32/27 Ethernet1/2 10.0.0.2
ip route 10.1.1.64/27 10.0.0.2 vrf BLUE
vrf context RED
  ip route 10.1.2.0/27 10.0.0.1
  rd 1:1
vrf context management
  ip route 0.0.0.0/0 192.0.2.254`, `
10.1.1.0/27 via 10.0.0.1 distance 10 tag 5 name routesteer-web1
10.1.1.32/27 via 10.0.0.2 on Ethernet1/2 distance 1
10.1.1.64/27 via 10.0.0.2 distance 1 and vrf BLUE
RED 10.1.2.0/27 via 10.0.0.1 distance 1 in vrf context RED
management 0.0.0.0/0 via 192.0.2.254 distance 1 in vrf context management`},
		"iosxr": {`
Sat Feb 22 07:46:30.089 UTC
router static
 address-family ipv4 unicast
  10.1.1.0/27 10.0.0.1 tag 10 description routesteer
  10.1.1.32/27 GigabitEthernet0/0/0/1 10.0.0.2 200
 !
 vrf RED
  address-family ipv6 unicast
   2001:db8:1::/64 2001:db8::11
  !
 !
!`, `
10.1.1.0/27 via 10.0.0.1 distance 1 tag 10 name routesteer in router static > address-family ipv4 unicast
10.1.1.32/27 via 10.0.0.2 on GigabitEthernet0/0/0/1 distance 200 in router static > address-family ipv4 unicast
RED 2001:db8:1::/64 via 2001:db8::11 distance 1 in router static > vrf RED > address-family ipv6 unicast`},
		"eos": {`
ip route vrf RED 10.1.1.0/27 10.0.0.1 10 tag 7 name routesteer-web1
ip route 10.1.1.32/27 Ethernet1 23
ip route 10.1.1.64/27 10.0.0.1 metric 100`, `
RED 10.1.1.0/27 via 10.0.0.1 distance 10 tag 7 name routesteer-web1
10.1.1.32/27 on Ethernet1 distance 23
10.1.1.64/27 via 10.0.0.1 distance 1 and metric 100`},
		"frr": {`
frr version 8.4.4
hostname vm
ip route 10.1.1.0/27 10.0.0.1 tag 5253 10
ip route 10.1.1.0/27 10.0.0.2 br0
ip route 10.1.1.32/27 10.0.0.2 tag 5253 label 100
!
vrf RED
 ip route 10.1.2.0/27 10.0.0.1 tag 5253
exit-vrf
!
end`, `
10.1.1.0/27 via 10.0.0.1 distance 10 tag 5253
10.1.1.0/27 via 10.0.0.2 on br0 distance 1
10.1.1.32/27 via 10.0.0.2 distance 1 tag 5253 and label 100
RED 10.1.2.0/27 via 10.0.0.1 distance 1 tag 5253 in vrf RED`},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			for _, l := range parseConfig(c.config) {
				got += "\n" + describe(l)
				if !strings.Contains(c.config, l.text) {
					t.Errorf("%q is not a part of the configuration", l.text)
				}
			}
			if got != c.want {
				t.Errorf("got%s\nwant%s", got, c.want)
			}
		})
	}
}

// describe writes all that is known of a line.
func describe(l line) string {
	var words []string
	add := func(given bool, text ...string) {
		if given {
			words = append(words, text...)
		}
	}
	add(l.vrf != "", l.vrf)
	add(true, l.prefix.String())
	add(l.via.IsValid(), "via", l.via.String())
	add(l.iface != "", "on", l.iface)
	add(true, fmt.Sprint("distance ", l.distance))
	text := strings.Join(words, " ") + options(line{distance: 1, tag: l.tag, name: l.name, permanent: l.permanent}, "tag", "name", "permanent")
	if len(l.extra) > 0 {
		text += " and " + strings.Join(l.extra, " ")
	}
	if len(l.context) > 0 {
		text += " in " + strings.Join(l.context, " > ")
	}
	return text
}

// TestWhatIsWrittenIsReadBack holds for our lines in every dialect.
func TestWhatIsWrittenIsReadBack(t *testing.T) {
	for _, name := range topology.Dialects() {
		d := dialectOf(name)
		for _, l := range []line{
			{prefix: netip.MustParsePrefix("10.1.1.0/27"), via: netip.MustParseAddr("10.0.0.1"), distance: 1},
			{prefix: netip.MustParsePrefix("10.1.1.1/32"), via: netip.MustParseAddr("10.0.0.1"), distance: 20, tag: 5253},
			{prefix: netip.MustParsePrefix("2001:db8::/64"), via: netip.MustParseAddr("2001:db8:1::1"), distance: 254, tag: 1, vrf: "RED"},
		} {
			if d.named > 0 {
				l.name = "routesteer-web1"
			}
			l.context = d.enter(l.vrf, l.prefix.Addr().Is6())
			l.text = d.write(l)
			got := parseConfig(indented(l))
			if len(got) != 1 || describe(got[0]) != describe(l) || got[0].text != l.text {
				t.Errorf("%s: %s is read back as %v", name, indented(l), got)
			}
		}
	}
}

// indented writes a line under its context.
func indented(l line) string {
	text := ""
	for i, word := range append(slices.Clone(l.context), l.text) {
		text += strings.Repeat(" ", i) + word + "\n"
	}
	return text
}

// TestARouteThatWaitsIsNotForwardedBy holds for NX-OS, which shows such routes too.
func TestARouteThatWaitsIsNotForwardedBy(t *testing.T) {
	const answer = `
10.1.1.0/27, ubest/mbest: 1/0
    *via 10.0.0.1, Eth1/1, [110/41], 00:01:00, ospf-1, intra
     via 10.0.0.2, [200/0], 00:00:05, static
`
	via := nxos().via(answer, netip.MustParsePrefix("10.1.1.0/27"))
	if len(via) != 1 || via[0] != netip.MustParseAddr("10.0.0.1") {
		t.Errorf("it is forwarded by %v", via)
	}
}

// FuzzParseConfig feeds what no router prints: nothing is invented.
func FuzzParseConfig(f *testing.F) {
	for _, seed := range []string{
		"ip route 10.1.1.0 255.255.255.224 10.0.0.1 tag 77 name routesteer-web1\n",
		"router static\n address-family ipv4 unicast\n  10.1.1.0/27 10.0.0.1\n !\n!\n",
		"vrf RED\n ip route 10.1.2.0/27 br0 permanent\nexit-vrf\n", "ip route vrf", "ip route 1.1.1.1 255.0.255.0 2.2.2.2", "ipv6 route ::/0 fe80::1%x tag tag",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, l := range parseConfig(text) {
			if !strings.Contains(text, l.text) || !l.prefix.IsValid() || l.prefix != l.prefix.Masked() || l.distance < 1 || l.distance > 255 {
				t.Errorf("%q gives %+v", text, l)
			}
			if !l.via.IsValid() && l.iface == "" && len(l.extra) == 0 {
				t.Errorf("%q gives a route to nowhere: %+v", text, l)
			}
		}
	})
}
