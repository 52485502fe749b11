package topology

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

const shortest = `
servers: {web1: 192.0.2.11}
vips: [203.0.113.32/27]
routers: {edge: {linux: {}}}
`

// TestShortestFile says what an operator gets who writes only what is needed.
func TestShortestFile(t *testing.T) {
	got := mustParse(t, []byte(shortest))
	want := &Site{
		File:    "site.yaml",
		Hash:    "2155a541faf8fa7e", // echo -n … | sha256sum
		Servers: []Server{{Name: "web1", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.11")}, Weight: 1}},
		Checks: []Check{{
			Name:         "default",
			HTTP:         &HTTP{Port: 80, Method: "GET", Path: "/", Status: []StatusRange{{200, 399}}},
			Interval:     time.Second,
			FastInterval: 200 * time.Millisecond,
			Timeout:      500 * time.Millisecond,
			Rise:         2,
			Fall:         3,
			Through:      ThroughVIP,
			Watch:        true,

			StandbyInterval: 10 * time.Second,
		}},
		VIPs: []VIP{{
			Prefix:    netip.MustParsePrefix("203.0.113.32/27"),
			Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.33")},
			Check:     "default",
			Tiers:     []Tier{{Name: "primary", Servers: []ServerName{"web1"}}},
			Mode:      Single,
			Failback:  Failback{Mode: FailbackAfter, After: time.Minute},
			OnAllDown: Keep,
			Entry:     netip.MustParsePrefix("203.0.113.32/27"),
			Judge:     netip.MustParsePrefix("203.0.113.32/27"),
		}},
		Routers: []Router{{Name: "edge", Linux: &Linux{Table: 254, Protocol: 82, FlowLimit: 262144}}},
		Alive:   Alive{Interval: 200 * time.Millisecond, Fall: 3},
		Policy:  Policy{Failback: Failback{Mode: FailbackAfter, After: time.Minute}, OnAllDown: Keep, Drain: Drain{Timeout: 10 * time.Minute, Idle: time.Minute, UDP: UDPNew}, Correlated: Freeze, DrainReminder: 24 * time.Hour},
		Paths:   Paths{Mark: 0x52530000, Table: 52000, Priority: 5200},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", asText(t, got), asText(t, want))
	}
}

// checkCase is one check as written and as meant; base is the default check.
type checkCase struct {
	text string
	want func(check *Check)
}

func TestChecks(t *testing.T) {
	http := func(check *Check) *HTTP {
		check.HTTP = defaultHTTP(false)
		return check.HTTP
	}
	https := func(check *Check) *HTTP {
		check.HTTP = defaultHTTP(true)
		return check.HTTP
	}
	for _, c := range []checkCase{
		{`{http: {}}`, func(c *Check) { http(c) }},
		{`{http: }`, func(c *Check) { http(c) }},
		{`{http: 8080}`, func(c *Check) { http(c).Port = 8080 }},
		{`{https: }`, func(c *Check) { https(c) }},
		{`{https: {port: 8443, skip_verify: true}}`, func(c *Check) { https(c).Port, c.HTTP.Certificate = 8443, Certificate{SkipVerify: true} }},
		{`{https: {ca_file: /ca.pem, min_days: 30, server_name: www.example.com}}`, func(c *Check) {
			https(c).Certificate = Certificate{ServerName: "www.example.com", CAFile: "/ca.pem", MinDays: 30}
		}},
		{`{http: {method: HEAD, path: "/a?b=c", host: www.example.com, keep_alive: true}}`, func(c *Check) {
			h := http(c)
			h.Method, h.Path, h.Host, h.KeepAlive = "HEAD", "/a?b=c", "www.example.com", true
		}},
		{`{http: {headers: {X-B: two words, X-A: 1}, body: ready}}`, func(c *Check) {
			h := http(c)
			h.Headers, h.Body = []Header{{"X-B", "two words"}, {"X-A", "1"}}, "ready"
		}},
		{`{http: {status: 204}}`, func(c *Check) { http(c).Status = []StatusRange{{204, 204}} }},
		{`{http: {status: 200-299}}`, func(c *Check) { http(c).Status = []StatusRange{{200, 299}} }},
		{`{http: {status: "200,301-302"}}`, func(c *Check) { http(c).Status = []StatusRange{{200, 200}, {301, 302}} }},
		{`{http: {status: [200, 301-302]}}`, func(c *Check) { http(c).Status = []StatusRange{{200, 200}, {301, 302}} }},
		{`{tcp: 443}`, func(c *Check) { c.TCP = &TCP{443} }},
		{`{tcp: {port: 443}}`, func(c *Check) { c.TCP = &TCP{443} }},
		{`{icmp: }`, func(c *Check) { c.ICMP, c.Watch = &ICMP{}, false }},
		{`{icmp: {}, watch: true}`, func(c *Check) { c.ICMP, c.Watch = &ICMP{}, false }},
		{`{tcp: 25, interval: 1m, fast_interval: 2s, timeout: 10s, rise: 5, fall: 1, through: address, watch: false}`,
			func(c *Check) {
				c.TCP = &TCP{25}
				c.Interval, c.FastInterval, c.StandbyInterval, c.Timeout = time.Minute, 2*time.Second, time.Minute, 10*time.Second
				c.Rise, c.Fall, c.Through, c.Watch = 5, 1, ThroughAddress, false
			}},
		{`{tcp: 25, standby_interval: 1s}`, func(c *Check) { c.TCP, c.StandbyInterval = &TCP{25}, time.Second }},
		// A short interval shortens the defaults that may not exceed it.
		{`{tcp: 25, interval: 100ms}`, func(c *Check) {
			c.TCP = &TCP{25}
			c.Interval, c.FastInterval, c.Timeout = 100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond
		}},
	} {
		t.Run(c.text, func(t *testing.T) {
			site := mustParse(t, []byte(shortest+"checks: {web: "+c.text+"}"))
			got, ok := site.Check("web")
			if !ok {
				t.Fatal("no check web")
			}
			want := defaultCheck("web")
			c.want(&want)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got\n%s\nwant\n%s", asText(t, got), asText(t, want))
			}
		})
	}
}

func TestTiersAndAddresses(t *testing.T) {
	const servers = `
servers: {a: 192.0.2.1, b: {addresses: [192.0.2.2, "2001:db8::2"]}, c: {address: 192.0.2.3}}
routers: {edge: {linux: }}
vips:
  - `
	for _, c := range []struct{ name, vip, want string }{
		{"a plain prefix is for all servers", `203.0.113.32/27`, "203.0.113.32/27 203.0.113.33 primary=a,b,c"},
		{"a plain address is the prefix of one host", `203.0.113.40`, "203.0.113.40/32 203.0.113.40 primary=a,b,c"},
		{"a link between two has two addresses", `203.0.113.40/31`, "203.0.113.40/31 203.0.113.41 primary=a,b,c"},
		{"IPv6 is for servers that have it", `2001:db8:1::1`, "2001:db8:1::1/128 2001:db8:1::1 primary=b"},
		{"the other servers back a primary", `{prefix: 203.0.113.40, primary: b}`, "203.0.113.40/32 203.0.113.40 primary=b backup=a,c"},
		{"no others, no backup", `{prefix: 203.0.113.40, primary: [c, b, a]}`, "203.0.113.40/32 203.0.113.40 primary=a,b,c"},
		{"no others of the family, no backup", `{prefix: "2001:db8:1::/64", primary: b}`, "2001:db8:1::/64 2001:db8:1::1 primary=b"},
		{"a backup that is named is the only one", `{prefix: 203.0.113.40, primary: b, backup: [a]}`, "203.0.113.40/32 203.0.113.40 primary=b backup=a"},
		{"up to three", `{prefix: 203.0.113.40, primary: b, backup: a, backup2: c}`, "203.0.113.40/32 203.0.113.40 primary=b backup=a backup2=c"},
		{"addresses in their order", `{prefix: 203.0.113.32/27, addresses: [203.0.113.60, 203.0.113.32]}`, "203.0.113.32/27 203.0.113.60,203.0.113.32 primary=a,b,c"},
		{"one address needs no list", `{prefix: 203.0.113.32/27, addresses: 203.0.113.60}`, "203.0.113.32/27 203.0.113.60 primary=a,b,c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			site := mustParse(t, []byte(servers+c.vip))
			if got := vipText(site.VIPs[0]); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func vipText(vip VIP) string {
	var addrs []string
	for _, addr := range vip.Addresses {
		addrs = append(addrs, addr.String())
	}
	text := vip.Prefix.String() + " " + strings.Join(addrs, ",")
	for _, tier := range vip.Tiers {
		var names []string
		for _, name := range tier.Servers {
			names = append(names, string(name))
		}
		text += " " + tier.Name + "=" + strings.Join(names, ",")
	}
	return text
}

func TestPolicies(t *testing.T) {
	site := mustParse(t, []byte(`
servers: {web1: 192.0.2.11}
routers:
  edge: {linux: {table: default, metric: 20, protocol: 83, adopt: true, flow_limit: 0, resilient: true}}
  core: {linux: {table: 4294967295}}
alive: off
policy: {failback: never, on_all_down: withdraw, max_unavailable: 2, drain_timeout: 30s, drain_udp: sticky}
paths: {mark: 0x10, table: 1000, priority: 100}
vips:
  - 203.0.113.3
  - {prefix: 203.0.113.2, name: shop, failback: {after: 5s}, on_all_down: keep, mode: ecmp}
  - {prefix: 203.0.113.1, failback: immediate}
  - {prefix: 203.0.113.0, failback: {}}
`))
	want := []Failback{{Mode: FailbackAfter, After: time.Minute}, {Mode: FailbackImmediate}, {Mode: FailbackAfter, After: 5 * time.Second}, {Mode: FailbackNever}}
	for i, vip := range site.VIPs {
		if vip.Failback != want[i] {
			t.Errorf("%s: failback %v, want %v", vip.Prefix, vip.Failback, want[i])
		}
	}
	if site.VIPs[0].OnAllDown != Withdraw || site.VIPs[2].OnAllDown != Keep {
		t.Errorf("on_all_down: got %s and %s", site.VIPs[0].OnAllDown, site.VIPs[2].OnAllDown)
	}
	if vip := site.VIPs[2]; vip.Name != "shop" || vip.Mode != ECMP {
		t.Errorf("got %+v", vip)
	}
	if want := (Share{Count: 2}); site.Policy.MaxUnavailable != want {
		t.Errorf("max_unavailable: got %v, want %v", site.Policy.MaxUnavailable, want)
	}
	if want := (Drain{Timeout: 30 * time.Second, Idle: 30 * time.Second, UDP: UDPSticky}); site.Policy.Drain != want {
		t.Errorf("drain: got %v, want %v; without drain_idle it is at most drain_timeout", site.Policy.Drain, want)
	}
	if !site.Alive.Off {
		t.Error("alive is not off")
	}
	if want := (Paths{Mark: 16, Table: 1000, Priority: 100}); site.Paths != want {
		t.Errorf("paths: got %v, want %v", site.Paths, want)
	}
	if want := (Linux{Table: 4294967295, Protocol: 82, FlowLimit: 262144}); *site.Routers[0].Linux != want {
		t.Errorf("core: got %v, want %v", *site.Routers[0].Linux, want)
	}
	if want := (Linux{Table: 253, Metric: 20, Protocol: 83, Adopt: true, Resilient: true}); *site.Routers[1].Linux != want {
		t.Errorf("edge: got %v, want %v", *site.Routers[1].Linux, want)
	}
}

// TestAnchors are YAML's own way not to write a thing twice.
func TestAnchors(t *testing.T) {
	site := mustParse(t, []byte(shortest+`
checks:
  a: {http: &probe {path: /healthz}}
  b: {http: *probe}
`))
	if a, b := site.Checks[0], site.Checks[1]; a.HTTP.Path != "/healthz" || !reflect.DeepEqual(a.HTTP, b.HTTP) {
		t.Errorf("got %+v and %+v", a.HTTP, b.HTTP)
	}
}

// TestErrorIsProblems holds what the documentation of Parse promises.
func TestErrorIsProblems(t *testing.T) {
	site, err := Parse("site.yaml", []byte("servers: {web1: 192.0.2.11}\nvips: [203.0.113.33/27]\nrouters: {edge: {linxu: }}\n"))
	if site != nil {
		t.Error("a bad file gives a site")
	}
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %T", err)
	}
	want := Problem{
		File: "site.yaml", Line: 2, Column: 8, Path: "vips[0]",
		Message: "203.0.113.33/27 has host bits set, did you mean 203.0.113.32/27?",
		Source:  "vips: [203.0.113.33/27]",
	}
	if len(problems) != 2 || problems[0] != want {
		t.Errorf("got %+v, want %+v first", problems, want)
	}
	wantDetail := `site.yaml:2:8: vips[0]: 203.0.113.33/27 has host bits set, did you mean 203.0.113.32/27?
  2 | vips: [203.0.113.33/27]
    |        ^
site.yaml:3:18: routers.edge: unknown driver "linxu", did you mean linux?
  3 | routers: {edge: {linxu: }}
    |                  ^`
	if got := problems.Detail(); got != wantDetail {
		t.Errorf("got\n%s\nwant\n%s", got, wantDetail)
	}
}

// TestDetailOfAwkwardLines keeps the caret under its character.
func TestDetailOfAwkwardLines(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, c := range []struct {
		name   string
		p      Problem
		source string
		caret  int
	}{
		{"tabs and escapes become spaces", Problem{Source: "a:\t\x1b[31mé: b", Line: 1, Column: 9}, "a:  [31mé: b", 8},
		{"a long line is cut around the caret", Problem{Source: long, Line: 1, Column: 2001}, strings.Repeat("x", 100), 50},
		{"a column beyond the line is its end", Problem{Source: "abc", Line: 1, Column: 9}, "abc", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines := strings.Split(c.p.Detail(), "\n")
			if got, want := lines[1], "  1 | "+c.source; got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if got, want := lines[2], "    | "+strings.Repeat(" ", c.caret)+"^"; got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
	whole := Problem{File: "site.yaml", Message: "too large"}
	if got := whole.Detail(); got != "site.yaml: too large" {
		t.Errorf("got %q", got)
	}
}

// manyPrefixes is a site of one entry with so many prefixes.
func manyPrefixes(n int) []byte {
	var b strings.Builder
	b.WriteString("servers: {web1: 192.0.2.11, web2: 192.0.2.12}\nrouters: {edge: {linux: {}}}\nvips:\n- primary: web1\n  prefixes:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - 10.%d.%d.%d\n", i>>16, i>>8&255, i&255)
	}
	return []byte(b.String())
}

func TestAHundredThousandPrefixesAreOneEntry(t *testing.T) {
	site := mustParse(t, manyPrefixes(100_000))
	if entries, judges := site.Entries(), site.Judges(); len(site.VIPs) != 100_000 || len(entries) != 1 || len(entries[0].Prefixes) != 100_000 || len(judges) != 1 {
		t.Errorf("%d VIPs, %d entries, %d judges; want 100000, 1, 1", len(site.VIPs), len(entries), len(judges))
	}
	text := string(manyPrefixes(100_000)) + "  - 10.1.0.0\n  - 10.0.0.0/24\n"
	if _, err := Parse("site.yaml", []byte(text)); err == nil ||
		!strings.Contains(err.Error(), "site.yaml:100006:5: vips[0].prefixes[100000]: 10.1.0.0/32 is given twice, first on line 65542") ||
		!strings.Contains(err.Error(), "site.yaml:100007:5: vips[0].prefixes[100001]: 10.0.0.0/24 overlaps 10.0.0.0/32 (line 6): one packet would have two ways to go") {
		t.Errorf("got %v", err)
	}
}

func TestVIPsWithOneCheckOfTheServersAreJudgedAlike(t *testing.T) {
	site := mustParse(t, []byte(`
servers: {web1: {addresses: [192.0.2.11, "2001:db8::11"]}, web2: 192.0.2.12}
checks: {own: {tcp: 80, through: address}, other: {tcp: 80, through: address}, path: {tcp: 80}}
vips:
  - {prefix: 203.0.113.4, check: own, primary: web2}
  - {prefix: 203.0.113.3, check: own, primary: web1}
  - {prefix: 203.0.113.2, check: other}
  - {prefixes: [203.0.113.6, 203.0.113.1], check: path}
  - {prefix: 203.0.113.5, check: path}
  - {prefix: "2001:db8:1::1", check: own}
routers: {edge: {linux: {}}}
`))
	var got []string
	for _, judge := range site.Judges() {
		got = append(got, fmt.Sprintf("%s judges %d, asks %v of %v", judge.VIP.Prefix.Addr(), judge.VIPs, judge.VIP.Check, judge.Servers))
	}
	want := []string{
		"203.0.113.1 judges 2, asks path of [web1 web2]",
		"203.0.113.2 judges 1, asks other of [web1 web2]",
		"203.0.113.3 judges 2, asks own of [web1 web2]",
		"203.0.113.5 judges 1, asks path of [web1 web2]",
		"2001:db8:1::1 judges 1, asks own of [web1]",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func BenchmarkParseAHundredThousandPrefixes(b *testing.B) {
	data := manyPrefixes(100_000)
	b.ReportAllocs()
	for b.Loop() {
		mustParse(b, data)
	}
}
