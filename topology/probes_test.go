package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestMembersThroughTheServersAddressAreProbedOnceForAllVIPs(t *testing.T) {
	site := mustParse(t, []byte(`
servers: {a: {addresses: [192.0.2.1, "2001:db8::1"]}, b: {addresses: [192.0.2.2, "2001:db8::2"]}, c: 192.0.2.3}
routers: {edge: {linux: }}
checks:
  web: {http: }
  health: {agent: 8081, through: address}
  ping: {icmp: , through: address}
  site: {all: [web, health]}
  lan: {any: [health, ping]}
vips:
  - {prefix: 203.0.113.1, primary: a, check: site}
  - {prefix: 203.0.113.2, primary: [b, c], check: site}
  - {prefix: 203.0.113.3, primary: a, check: lan}
  - {prefix: 203.0.113.4, primary: a, check: lan}
  - {prefix: 203.0.113.5, primary: a, check: health}
  - {prefix: "2001:db8:1::1", primary: a, check: site}
`))
	probes, parts := site.Probes()
	var got []string
	for _, p := range probes {
		got = append(got, fmt.Sprintf("%s %s as %q of %v", p.VIP.Prefix.Addr(), p.Check.Name, p.Member, p.Servers))
	}
	want := []string{
		`203.0.113.1 web as "web" of [a b c]`,
		`203.0.113.1 health as "health" of [a b c]`,
		`203.0.113.2 web as "web" of [b c a]`,
		`203.0.113.3 ping as "ping" of [a b c]`,
		`203.0.113.5 health as "" of [a b c]`,
		`2001:db8:1::1 web as "web" of [a b]`,
		`2001:db8:1::1 health as "health" of [a b]`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("probes\n%q\nwant\n%q", got, want)
	}
	first, lan := netip.MustParsePrefix("203.0.113.1/32"), netip.MustParsePrefix("203.0.113.3/32")
	for prefix, want := range map[string][]Part{
		"203.0.113.1/32": {{first, "web"}, {first, "health"}},
		"203.0.113.2/32": {{netip.MustParsePrefix("203.0.113.2/32"), "web"}, {first, "health"}},
		"203.0.113.3/32": {{first, "health"}, {lan, "ping"}}, // judges 203.0.113.4, too
		"203.0.113.4/32": nil,
		"203.0.113.5/32": nil,
	} {
		if got := parts[netip.MustParsePrefix(prefix)]; !slices.Equal(got, want) {
			t.Errorf("parts of %s: %v, want %v", prefix, got, want)
		}
	}
}

// TestEveryJudgesCheckIsProbedOnEveryServer holds that each verdict that counts is
// made of what is probed.
func TestEveryJudgesCheckIsProbedOnEveryServer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		site := drawSite(t)
		probes, parts := site.Probes()
		type key struct {
			Part
			server ServerName
		}
		probed := map[key]CheckName{}
		for _, p := range probes {
			if p.Check.Group != nil {
				t.Fatalf("%s is probed by check %s, which is of several", p.VIP.Prefix, p.Check.Name)
			}
			for _, server := range p.Servers {
				k := key{Part{p.VIP.Prefix, p.Member}, server}
				if _, twice := probed[k]; twice {
					t.Fatalf("%v is probed twice", k)
				}
				probed[k] = p.Check.Name
			}
		}
		for _, judge := range site.Judges() {
			check, _ := site.Check(judge.VIP.Check)
			wanted, of := []CheckName{check.Name}, []Part{{VIP: judge.VIP.Prefix}}
			if check.Group != nil {
				wanted, of = check.Group.Of, parts[judge.VIP.Prefix]
			}
			if len(of) != len(wanted) {
				t.Fatalf("%s has parts %v for %v", judge.VIP.Prefix, of, wanted)
			}
			for i, part := range of {
				for _, server := range judge.Servers {
					if got := probed[key{part, server}]; got != wanted[i] {
						t.Fatalf("%s on %s: part %v is probed by %q, want %s", judge.VIP.Prefix, server, part, got, wanted[i])
					}
				}
			}
		}
	})
}
