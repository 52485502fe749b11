package topology

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestGeneratedSiteIsReadBack writes any valid site out in full and reads it
// again.
func TestGeneratedSiteIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawSite(t)
		text := write(want)
		got, err := Parse("site.yaml", []byte(text))
		if err != nil {
			t.Fatalf("%v\nin:\n%s", err, text)
		}
		want.Hash = got.Hash // of the text
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got\n%s\nwant\n%s\nfrom:\n%s", write(got), write(want), text)
		}
	})
}

// TestMutatedKeyIsReportedWithItsLine spoils one key of a valid file: the
// answer is an error, and one of its problems names that line.
func TestMutatedKeyIsReportedWithItsLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := strings.Split(write(drawSite(t)), "\n")
		var keys []int // lines with a key of the grammar; a server may be called xyz
		for i, line := range lines {
			if isGrammarKey(keyOf(line)) {
				keys = append(keys, i)
			}
		}
		i := rapid.SampledFrom(keys).Draw(t, "line")
		key := keyOf(lines[i])
		indent, rest, _ := strings.Cut(lines[i], key+":")
		lines[i] = indent + rapid.SampledFrom([]string{"x" + key, key + "_", key[1:] + "q"}).Draw(t, "key") + ":" + rest
		text := strings.Join(lines, "\n")
		_, err := Parse("site.yaml", []byte(text))
		var problems Problems
		if !errors.As(err, &problems) {
			t.Fatalf("line %d is accepted in:\n%s", i+1, text)
		}
		for _, p := range problems {
			if p.Line == i+1 && strings.HasPrefix(p.Message, "unknown ") {
				return
			}
		}
		t.Fatalf("no problem names line %d:\n%v\nin:\n%s", i+1, err, text)
	})
}

// keyOf returns the key that a line starts with.
func keyOf(line string) string {
	key, _, _ := strings.Cut(strings.TrimLeft(line, " -"), ":")
	return key
}

func isGrammarKey(word string) bool {
	for _, o := range objects() {
		for _, key := range o.keys() {
			if key == word {
				return true
			}
		}
	}
	return false
}

// FuzzParse holds that no input panics, that an error is a sorted Problems
// which prints, and that a site is one whose promises hold.
func FuzzParse(f *testing.F) {
	f.Add(readFile(f, examplePath))
	f.Add([]byte(shortest))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("servers: {web1: {adress: !!str x}}\n--- \n\t"))
	for _, path := range []string{"whole", "servers", "checks", "vips", "routers", "http", "notify"} {
		_, cases := readCases(f, "testdata/problems/"+path+".txtar")
		for _, c := range cases {
			f.Add([]byte(complete(c.file)))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		site, err := Parse("site.yaml", data)
		if err == nil {
			checkPromises(t, site)
			return
		}
		var problems Problems
		if !errors.As(err, &problems) || len(problems) == 0 || site != nil {
			t.Fatalf("got site %v and error %#v", site, err)
		}
		for i, p := range problems {
			if p.Message == "" || p.Line < 0 || p.Column < 0 || i > 0 && p.Line < problems[i-1].Line {
				t.Errorf("problem %d: %+v", i, p)
			}
		}
		if strings.Contains(problems.Detail(), "\x1b") {
			t.Errorf("an escape reaches the terminal: %q", problems.Detail())
		}
	})
}

// checkPromises holds what the comments in site.go say.
func checkPromises(t *testing.T, site *Site) {
	t.Helper()
	if len(site.Servers) == 0 || len(site.VIPs) == 0 || len(site.Routers) == 0 {
		t.Fatalf("a section is empty: %+v", site)
	}
	for i, vip := range site.VIPs {
		if i > 0 && vip.Prefix.Overlaps(site.VIPs[i-1].Prefix) || vip.Prefix != vip.Prefix.Masked() {
			t.Errorf("%s: overlaps, or is not masked", vip.Prefix)
		}
		if _, ok := site.Check(vip.Check); !ok || len(vip.Addresses) == 0 || len(vip.Tiers) == 0 {
			t.Errorf("%s: no check, address or tier: %+v", vip.Prefix, vip)
		}
		for _, addr := range vip.Addresses {
			if !slices.ContainsFunc(site.VIPs, func(of VIP) bool { return of.Entry == vip.Entry && of.Prefix.Contains(addr) }) {
				t.Errorf("the entry of %s does not hold %s", vip.Prefix, addr)
			}
		}
		entry, known := site.VIP(vip.Entry)
		judge, judged := site.VIP(vip.Judge)
		if !known || !judged || entry.Judge != vip.Judge || judge.Check != vip.Check || judge.Judge != vip.Judge || vip.Entry.Compare(vip.Prefix) > 0 {
			t.Errorf("%s is of entry %s and judged as %s", vip.Prefix, vip.Entry, vip.Judge)
		}
		seen := map[ServerName]bool{}
		for _, name := range vip.Servers() {
			server, ok := site.Server(name)
			if !ok || seen[name] || len(server.AddressesFor(vip.Prefix.Addr())) == 0 {
				t.Errorf("%s: server %s cannot be here", vip.Prefix, name)
			}
			seen[name] = true
			for _, addr := range server.Addresses {
				if vip.Prefix.Contains(addr) {
					t.Errorf("%s holds %s of %s", vip.Prefix, addr, name)
				}
			}
		}
		for _, tier := range vip.Tiers {
			if len(tier.Servers) == 0 {
				t.Errorf("%s: tier %s is empty", vip.Prefix, tier.Name)
			}
		}
	}
	for _, check := range site.Checks {
		if check.Group != nil {
			if g := check.Group; g.Needs < 1 || g.Needs > len(g.Of) || len(site.Members(check)) != len(g.Of) {
				t.Errorf("check %s needs %d of %v", check.Name, g.Needs, g.Of)
			}
			continue
		}
		if check.Timeout <= 0 || check.Timeout > check.Interval || check.FastInterval <= 0 || check.FastInterval > check.Interval || check.StandbyInterval < check.Interval {
			t.Errorf("times of %+v", check)
		}
	}
}

// drawSite draws a valid site. Server addresses are in 10/8 and 2001:db8:a::/48,
// VIPs in 203.0.113.0/24 and 2001:db8:b::/48, so that they cannot meet.
func drawSite(t *rapid.T) *Site {
	site := &Site{File: "site.yaml"}
	for i := range rapid.IntRange(1, 5).Draw(t, "servers") {
		site.Servers = append(site.Servers, drawServer(t, i))
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "checks") {
		site.Checks = append(site.Checks, drawCheck(t, CheckName(fmt.Sprintf("check%d", i))))
	}
	site.Checks = append(site.Checks, drawGroups(t, site.Checks)...)
	for i := range rapid.IntRange(1, 4).Draw(t, "entries") {
		site.VIPs = append(site.VIPs, drawEntry(t, site, i)...)
	}
	judge(site)
	for i := range rapid.IntRange(1, 2).Draw(t, "routers") {
		site.Routers = append(site.Routers, Router{Name: RouterName(fmt.Sprintf("r%d", i)), Linux: &Linux{
			Table:    rapid.SampledFrom([]int{1, 253, 254, 1000, math.MaxUint32 - 1}).Draw(t, "table") + i,
			Metric:   rapid.IntRange(0, math.MaxUint32).Draw(t, "metric"),
			Protocol: rapid.SampledFrom([]uint8{21, 82, 255}).Draw(t, "protocol"),
			Adopt:    rapid.Bool().Draw(t, "adopt"),

			Resilient: rapid.Bool().Draw(t, "resilient"),
			FlowLimit: rapid.SampledFrom([]int{0, 1, maxFlows}).Draw(t, "flow limit"),
		}})
	}
	for i := range site.Routers {
		if table := &site.Routers[i].Linux.Table; *table == tableLocal || i > 0 && *table == site.Routers[0].Linux.Table {
			*table = 5000
		}
	}
	if rapid.Bool().Draw(t, "bgp") {
		site.Routers = append(site.Routers, Router{Name: "rr", BGP: drawBGP(t)})
		own := rapid.Map(rapid.Custom(drawOwnAttributes), func(own OwnAttributes) *OwnAttributes { return &own })
		for _, entry := range site.Entries() {
			attributes := rapid.OneOf(rapid.Just[*OwnAttributes](nil), own).Draw(t, "own attributes")
			for i := range site.VIPs {
				if site.VIPs[i].Entry == entry.VIP.Entry {
					site.VIPs[i].BGP = attributes
				}
			}
		}
	}
	viaInet6 := slices.ContainsFunc(site.Servers, func(s Server) bool { return s.ViaInet6 })
	if !viaInet6 && rapid.Bool().Draw(t, "cisco") {
		site.Routers = append(site.Routers, Router{Name: "sw", Cisco: drawCisco(t)})
	}
	site.Alive = Alive{Interval: drawDuration(t, minInterval, maxInterval), Fall: rapid.IntRange(1, 100).Draw(t, "alive fall")}
	if rapid.Bool().Draw(t, "alive off") {
		site.Alive = defaultAlive()
		site.Alive.Off = true
	}
	site.Policy = Policy{Failback: drawFailback(t), OnAllDown: drawOnAllDown(t)}
	site.Policy.Drain.Timeout = rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Minute, 24 * time.Hour}).Draw(t, "drain timeout")
	site.Policy.Drain.Idle = min(site.Policy.Drain.Timeout, rapid.SampledFrom([]time.Duration{time.Second, time.Minute}).Draw(t, "drain idle"))
	site.Policy.Drain.UDP = rapid.SampledFrom([]UDPDrain{UDPNew, UDPSticky}).Draw(t, "drain udp")
	site.Policy.Correlated = rapid.SampledFrom([]Correlated{Freeze, Act}).Draw(t, "correlated")
	site.Policy.DrainReminder = rapid.SampledFrom([]time.Duration{0, time.Minute, 24 * time.Hour}).Draw(t, "reminder")
	if rapid.Bool().Draw(t, "witnessed") {
		site.Policy.Witness = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	}
	for range rapid.IntRange(0, 2).Draw(t, "windows") {
		site.Maintenance = append(site.Maintenance, drawMaintenance(t, site))
	}
	for i := range site.Routers {
		site.Routers[i].ChangeLimit = rapid.SampledFrom([]ChangeLimit{{}, {Changes: 10, Per: time.Minute}}).Draw(t, "change limit")
	}
	site.Policy.MaxUnavailable = rapid.SampledFrom([]Share{{}, {Count: 2}, {Percent: 1}, {Percent: 100}}).Draw(t, "share")
	site.Paths = Paths{
		Mark:     rapid.Uint32Range(1, math.MaxUint32-100).Draw(t, "mark"),
		Table:    rapid.IntRange(FlowTable+FlowPaths, 1<<30).Draw(t, "paths table"),
		Priority: rapid.IntRange(FlowPriority+3, 32765).Draw(t, "priority"),
	}
	if rapid.Bool().Draw(t, "web") {
		site.Web = drawWeb(t, site)
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "notifiers") {
		site.Notify = append(site.Notify, drawNotifier(t, site, i))
	}
	return site
}

func drawWeb(t *rapid.T, site *Site) Web {
	web := Web{
		Listen: netip.MustParseAddrPort(rapid.SampledFrom([]string{"127.0.0.1:1", "[::1]:8080", "0.0.0.0:443", "[::]:65535"}).Draw(t, "listen")),
		Read:   ReadAnyone,
	}
	if rapid.Bool().Draw(t, "web tls") {
		web.TLS = &WebTLS{CertFile: "/a cert.pem", KeyFile: "/key.pem", ClientCAFile: rapid.SampledFrom([]string{"", "/ca.pem"}).Draw(t, "client ca")}
	}
	if web.TLS == nil && !web.Listen.Addr().IsLoopback() {
		return web
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "tokens") {
		token := Token{Name: fmt.Sprintf("t%d", i), Secret: Secret{Env: "TOKEN"}}
		if secret := drawSecret(t); secret != (Secret{}) {
			token.Secret = secret
		}
		if rapid.Bool().Draw(t, "limited") {
			token.Servers = []ServerName{rapid.SampledFrom(site.Servers).Draw(t, "its server").Name}
		}
		web.Tokens = append(web.Tokens, token)
	}
	if len(web.Tokens) > 0 || web.TLS != nil && web.TLS.ClientCAFile != "" {
		web.Read = rapid.SampledFrom([]Reading{ReadAnyone, ReadToken}).Draw(t, "read")
	}
	return web
}

func drawCisco(t *rapid.T) *Cisco {
	cisco := &Cisco{
		Address:          netip.MustParseAddr(rapid.SampledFrom([]string{"127.0.0.1", "192.0.2.1", "2001:db8::1"}).Draw(t, "address")),
		Port:             rapid.Uint16Range(1, 65535).Draw(t, "ssh port"),
		User:             rapid.SampledFrom([]string{"routesteer", "0", "a.b@c"}).Draw(t, "user"),
		KeyFile:          rapid.SampledFrom([]string{"", "/etc/routesteer/key"}).Draw(t, "key"),
		Password:         drawSecret(t),
		Enable:           drawSecret(t),
		KnownHosts:       rapid.SampledFrom([]string{"/etc/routesteer/known_hosts", "/hosts"}).Draw(t, "known hosts"),
		LegacyAlgorithms: rapid.Bool().Draw(t, "legacy"),
		Dialect:          rapid.SampledFrom(Dialects()).Draw(t, "dialect"),
		VRF:              rapid.SampledFrom([]string{"", "RED", "0"}).Draw(t, "vrf"),
		Tag:              rapid.Uint32Range(1, math.MaxUint32).Draw(t, "tag"),
		Distance:         rapid.IntRange(1, maxDistance).Draw(t, "distance"),
		Adopt:            rapid.Bool().Draw(t, "adopt"),
		Strategy:         rapid.SampledFrom([]Strategy{StrategyReplace, StrategyFloating}).Draw(t, "strategy"),
		Save:             rapid.SampledFrom([]Save{{}, {AfterChange: true}, {After: 5 * time.Minute}}).Draw(t, "save"),
		KeepSession:      rapid.Bool().Draw(t, "keep session"),
		Timeout:          drawDuration(t, minCommand, maxCommand),
		Poll:             drawDuration(t, minPoll, maxPoll),
	}
	if cisco.Strategy == StrategyFloating {
		cisco.Distance = min(cisco.Distance, maxFloating)
	}
	if cisco.KeyFile == "" {
		cisco.Password = Secret{Env: "_PASSWORD"}
	}
	if rapid.Bool().Draw(t, "pinned") {
		cisco.KnownHosts, cisco.HostKey = "", "SHA256:"+strings.Repeat("Ab", 21)+"A"
	}
	return cisco
}

func drawBGP(t *rapid.T) *BGP {
	bgp := &BGP{
		ASN:      rapid.SampledFrom([]uint32{1, 65000, 4200000000}).Draw(t, "asn"),
		RouterID: netip.MustParseAddr("192.0.2.2"),
		Attributes: Attributes{
			Communities: rapid.SliceOfNDistinct(rapid.Custom(drawCommunity), 0, 3, rapid.ID[Community]).Draw(t, "communities"),
			LocalPref:   rapid.Uint32().Draw(t, "local pref"),
			Prepend:     rapid.IntRange(0, maxPrepend).Draw(t, "prepend"),
			Origin:      rapid.SampledFrom([]Origin{OriginIGP, OriginEGP, OriginIncomplete}).Draw(t, "origin"),
		},
		Restart:    rapid.SampledFrom([]Restart{{}, {Time: time.Second}, {Time: maxRestart, LongLived: maxLongLived}}).Draw(t, "restart"),
		AtExit:     rapid.SampledFrom([]AtExit{AtExitKeep, AtExitWithdraw}).Draw(t, "at exit"),
		ListenPort: portBGP,

		GracefulShutdown: rapid.SampledFrom([]time.Duration{0, time.Second, maxShutdown}).Draw(t, "graceful shutdown"),
	}
	slices.SortFunc(bgp.Communities, compareCommunity)
	if len(bgp.Communities) == 0 {
		bgp.Communities = nil
	}
	if rapid.Bool().Draw(t, "has med") {
		med := rapid.Uint32().Draw(t, "med")
		bgp.MED = &med
	}
	for _, address := range []string{"192.0.2.1", "2001:db8::1"}[:rapid.IntRange(1, 2).Draw(t, "peers")] {
		bgp.Peers = append(bgp.Peers, drawPeer(t, netip.MustParseAddr(address), bgp.ASN))
	}
	if slices.ContainsFunc(bgp.Peers, func(p Peer) bool { return p.Passive }) {
		bgp.ListenPort = rapid.Uint16Range(1, 65535).Draw(t, "listen port")
	}
	return bgp
}

func drawOwnAttributes(t *rapid.T) OwnAttributes {
	own := OwnAttributes{Origin: rapid.SampledFrom([]Origin{OriginIGP, OriginEGP, OriginIncomplete}).Draw(t, "own origin")}
	if rapid.Bool().Draw(t, "own communities") {
		own.Communities = rapid.SliceOfNDistinct(rapid.Custom(drawCommunity), 0, 3, rapid.ID[Community]).Draw(t, "communities")
		slices.SortFunc(own.Communities, compareCommunity)
	}
	number := rapid.Ptr(rapid.Uint32(), true)
	own.MED, own.LocalPref = number.Draw(t, "own med"), number.Draw(t, "own local pref")
	own.Prepend = rapid.Ptr(rapid.IntRange(0, maxPrepend), true).Draw(t, "own prepend")
	return own
}

func drawPeer(t *rapid.T, address netip.Addr, ours uint32) Peer {
	peer := Peer{
		Address:      address,
		ASN:          rapid.SampledFrom([]uint32{2, 65000, 65001}).Draw(t, "peer's asn"),
		Port:         rapid.Uint16Range(1, 65535).Draw(t, "peer's port"),
		Password:     drawSecret(t),
		Passive:      rapid.Bool().Draw(t, "passive"),
		HoldTime:     time.Duration(rapid.IntRange(3, 65535).Draw(t, "hold")) * time.Second,
		ConnectRetry: time.Duration(rapid.IntRange(2, 3600).Draw(t, "retry")) * time.Second,
	}
	peer.IPv4 = rapid.Bool().Draw(t, "ipv4")
	peer.IPv6 = !peer.IPv4 || rapid.Bool().Draw(t, "ipv6")
	switch rapid.IntRange(0, 3).Draw(t, "distance") {
	case 1:
		peer.TTLSecurity = 1
	case 2:
		peer.TTLSecurity = 254
	case 3:
		if peer.ASN != ours {
			peer.Multihop = 255
		}
	}
	if peer.Multihop == 0 && peer.TTLSecurity <= 1 && rapid.Bool().Draw(t, "has bfd") {
		peer.BFD = &BFD{Interval: drawDuration(t, 10*time.Millisecond, 10*time.Second), Multiplier: rapid.IntRange(1, 255).Draw(t, "multiplier")}
	}
	if rapid.Bool().Draw(t, "has source") {
		peer.Source = address.Next()
	}
	return peer
}

func drawCommunity(t *rapid.T) Community {
	if rapid.Bool().Draw(t, "large") {
		return Community{Large: true, Global: rapid.Uint32().Draw(t, "global"), Local1: rapid.Uint32().Draw(t, "1"), Local2: rapid.Uint32().Draw(t, "2")}
	}
	return Community{Global: uint32(rapid.Uint16().Draw(t, "as")), Local1: uint32(rapid.Uint16().Draw(t, "value"))}
}

func drawSecret(t *rapid.T) Secret {
	return rapid.SampledFrom([]Secret{{}, {File: "/etc/routesteer/a secret"}, {Env: "PASSWORD"}, {Credential: "core.password"}}).Draw(t, "secret")
}

func drawServer(t *rapid.T, i int) Server {
	v4 := netip.AddrFrom4([4]byte{10, 0, byte(i), 1})
	server := Server{Name: ServerName(fmt.Sprintf("web%d", i)), Addresses: []netip.Addr{v4}}
	server.Weight = rapid.IntRange(0, 256).Draw(t, "weight")
	if rapid.Bool().Draw(t, "v6") || i == 0 {
		server.Addresses = append(server.Addresses, netip.MustParseAddr(fmt.Sprintf("2001:db8:a::%d", i+1)))
	}
	if len(server.Addresses) > 1 && i > 0 && rapid.Bool().Draw(t, "via_inet6") {
		server.Addresses, server.ViaInet6 = server.Addresses[1:], true
	}
	return server
}

func drawCheck(t *rapid.T, name CheckName) Check {
	interval := drawDuration(t, minInterval, maxInterval)
	check := Check{
		Name:         name,
		Interval:     interval,
		FastInterval: drawDuration(t, minInterval, interval),

		StandbyInterval: drawDuration(t, interval, maxInterval),

		Timeout: drawDuration(t, minTimeout, interval),
		Rise:    rapid.IntRange(1, 100).Draw(t, "rise"),
		Fall:    rapid.IntRange(1, 100).Draw(t, "fall"),
		Through: rapid.SampledFrom([]Through{ThroughVIP, ThroughAddress}).Draw(t, "through"),
		Watch:   rapid.Bool().Draw(t, "watch"),
	}
	port := rapid.Uint16Range(1, 65535).Draw(t, "port")
	switch rapid.SampledFrom(checkKinds()).Draw(t, "kind") {
	case "tcp":
		check.TCP = &TCP{Port: port}
	case "tls":
		check.TLS = &TLS{Port: port, Certificate: drawCertificate(t)}
	case "dns":
		check.DNS, check.Watch = drawDNS(t, port), false
	case "grpc":
		check.GRPC = &GRPC{Port: port, Service: rapid.SampledFrom([]string{"", "shop.v1.Cart", "a b"}).Draw(t, "service")}
		if rapid.Bool().Draw(t, "secure") {
			certificate := drawCertificate(t)
			check.GRPC.TLS = &certificate
		}
	case "agent":
		check.Agent, check.Watch = &Agent{Port: port, Send: rapid.StringMatching(`[ -~\n\té]{0,9}`).Draw(t, "send")}, false
	case "script":
		check.Watch = false
		check.Script = &Script{Command: append([]string{"/usr/lib/check it"}, rapid.SliceOfN(rapid.StringMatching(`[ -~\n\té]{0,9}`), 0, 3).Draw(t, "arguments")...)}
	case "icmp":
		check.ICMP, check.Watch = &ICMP{}, false
	default:
		check.HTTP = drawHTTP(t, port)
	}
	return check
}

// drawGroups draws checks of several of the others.
func drawGroups(t *rapid.T, checks []Check) (groups []Check) {
	for i := range rapid.IntRange(0, 2).Draw(t, "groups") {
		members := rapid.Permutation(checks).Draw(t, "members")[:rapid.IntRange(1, len(checks)).Draw(t, "size")]
		group := Check{Name: CheckName(fmt.Sprintf("group%d", i)), Through: ThroughAddress, Group: &Group{Needs: rapid.IntRange(1, len(members)).Draw(t, "needs")}}
		for _, member := range members {
			group.Group.Of = append(group.Group.Of, member.Name)
			if member.Through == ThroughVIP {
				group.Through = ThroughVIP
			}
		}
		groups = append(groups, group)
	}
	return groups
}

func drawDNS(t *rapid.T, port uint16) *DNS {
	dns := &DNS{
		Name:  rapid.SampledFrom([]string{".", "www.example.com.", "_sip._tcp.example.com.", "*.example.com.", "32/27.113.0.203.in-addr.arpa."}).Draw(t, "name"),
		Type:  rapid.SampledFrom(dnsTypes()).Draw(t, "type"),
		Port:  port,
		TCP:   rapid.Bool().Draw(t, "by tcp"),
		RCode: rapid.SampledFrom(dnsRCodes()).Draw(t, "rcode"),
	}
	if dns.RCode == "NOERROR" && rapid.Bool().Draw(t, "answer") {
		dns.Answer = map[string]string{
			"A": "192.0.2.1", "AAAA": "2001:db8::1", "CNAME": "a.", "NS": ".", "PTR": "a.b.", "TXT": `v="1" #é`,
			"MX": "0 mail.example.com.", "SRV": "65535 0 443 www.example.com.",
		}[dns.Type]
	}
	return dns
}

func drawCertificate(t *rapid.T) Certificate {
	c := Certificate{
		ServerName: rapid.SampledFrom([]string{"", "www.example.com", "2001:db8::1", "192.0.2.1"}).Draw(t, "server name"),
		SkipVerify: rapid.Bool().Draw(t, "skip verify"),
	}
	if !c.SkipVerify {
		c.CAFile = rapid.SampledFrom([]string{"", "/etc/ssl/our own.pem"}).Draw(t, "ca file")
		c.MinDays = rapid.IntRange(0, maxMinDays).Draw(t, "min days")
	}
	return c
}

func drawHTTP(t *rapid.T, port uint16) *HTTP {
	http := &HTTP{
		TLS:       rapid.Bool().Draw(t, "tls"),
		Port:      port,
		Method:    rapid.SampledFrom([]string{"GET", "HEAD"}).Draw(t, "method"),
		Path:      "/" + rapid.StringMatching(`[a-z/?=%#&]{0,9}`).Draw(t, "path"),
		Host:      rapid.SampledFrom([]string{"", "www.example.com", "[2001:db8::1]:80"}).Draw(t, "host"),
		KeepAlive: rapid.Bool().Draw(t, "keep alive"),
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "headers") {
		http.Headers = append(http.Headers, Header{fmt.Sprintf("X-%d", i), rapid.StringMatching(`[ -~é]{0,9}`).Draw(t, "value")})
	}
	for range rapid.IntRange(1, 3).Draw(t, "ranges") {
		first := rapid.IntRange(100, 599).Draw(t, "first")
		http.Status = append(http.Status, StatusRange{first, rapid.IntRange(first, 599).Draw(t, "last")})
	}
	if http.Method == "GET" {
		http.Body = rapid.StringMatching(`(?s)[ -~\n\té]{0,20}`).Draw(t, "body")
	}
	if http.TLS {
		http.Certificate = drawCertificate(t)
	}
	return http
}

// drawEntry draws the VIPs of the i-th entry: one or more.
func drawEntry(t *rapid.T, site *Site, i int) []VIP {
	vip := drawVIP(t, site, i)
	all := []VIP{vip}
	if !vip.Prefix.IsSingleIP() {
		return all
	}
	for range rapid.IntRange(0, 3).Draw(t, "more") {
		vip.Prefix = netip.PrefixFrom(all[len(all)-1].Prefix.Addr().Next(), vip.Prefix.Addr().BitLen())
		all = append(all, vip)
	}
	return all
}

// judge says which VIPs are judged alike.
func judge(site *Site) {
	for i := range site.VIPs {
		vip := &site.VIPs[i]
		if check, _ := site.Check(vip.Check); check.Through != ThroughAddress {
			continue
		}
		vip.Judge = site.VIPs[slices.IndexFunc(site.VIPs, func(other VIP) bool {
			return other.Check == vip.Check && other.Prefix.Addr().Is4() == vip.Prefix.Addr().Is4()
		})].Prefix
	}
}

// drawVIP draws the i-th VIP; later ones have higher prefixes, as sorted.
func drawVIP(t *rapid.T, site *Site, i int) VIP {
	prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i * 32)}), rapid.IntRange(27, 32).Draw(t, "bits"))
	if i >= 2 { // IPv6 sorts after IPv4
		prefix = netip.PrefixFrom(netip.MustParseAddr(fmt.Sprintf("2001:db8:b:%d::", i)), rapid.IntRange(64, 128).Draw(t, "bits"))
	}
	vip := VIP{
		Entry: prefix, Judge: prefix,
		Name:      rapid.SampledFrom([]string{"", fmt.Sprintf("shop-%d", i)}).Draw(t, "name"),
		Prefix:    prefix,
		Addresses: []netip.Addr{prefix.Addr()},
		Check:     rapid.SampledFrom(site.Checks).Draw(t, "check").Name,
		Mode:      rapid.SampledFrom([]Mode{Single, ECMP}).Draw(t, "mode"),
		Failback:  drawFailback(t),
		OnAllDown: drawOnAllDown(t),
	}
	var servers []ServerName
	for _, server := range site.Servers {
		if len(server.AddressesFor(prefix.Addr())) > 0 {
			servers = append(servers, server.Name)
		}
	}
	if len(servers) > 2 && rapid.Bool().Draw(t, "disabled") {
		vip.Disabled, servers = servers[:1:1], servers[1:]
	}
	if rapid.Bool().Draw(t, "weighted") {
		vip.Weights = map[ServerName]int{servers[0]: rapid.IntRange(0, 256).Draw(t, "own weight")}
	}
	// All servers, cut into as many tiers as there are; a lone primary would
	// get the rest as default backup.
	for _, name := range tierNames() {
		n := len(servers)
		if name != "backup3" && n > 0 {
			n = rapid.IntRange(1, n).Draw(t, "tier")
		}
		if n > 0 {
			vip.Tiers = append(vip.Tiers, Tier{Name: name, Servers: servers[:n:n]})
		}
		servers = servers[n:]
	}
	return vip
}

func drawDuration(t *rapid.T, lo, hi time.Duration) time.Duration {
	return time.Duration(rapid.Int64Range(int64(lo), int64(hi)).Draw(t, "duration"))
}

func drawFailback(t *rapid.T) Failback {
	mode := rapid.SampledFrom([]FailbackMode{FailbackAfter, FailbackImmediate, FailbackManual, FailbackNever}).Draw(t, "failback")
	if mode == FailbackAfter {
		between := rapid.SampledFrom([]Daily{{}, {From: 120, To: 240, Zone: berlin(t)}, {From: 1439, To: 0, Zone: time.UTC}}).Draw(t, "between")
		return Failback{mode, drawDuration(t, time.Millisecond, maxFailback), between}
	}
	return Failback{Mode: mode}
}

func drawOnAllDown(t *rapid.T) OnAllDown {
	return rapid.SampledFrom([]OnAllDown{Keep, Withdraw, FirstTier}).Draw(t, "on_all_down")
}

func berlin(t *rapid.T) *time.Location {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func drawMaintenance(t *rapid.T, site *Site) Maintenance {
	moments := []Moment{
		{Minute: 180, Weekday: -1, Zone: time.UTC}, {Minute: 0, Weekday: 0, Zone: berlin(t)},
		{Minute: 1439, Weekday: 6, Zone: time.UTC}, {Minute: 5, Weekday: -1, Date: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), Zone: berlin(t)},
	}
	return Maintenance{
		Servers: []ServerName{rapid.SampledFrom(site.Servers).Draw(t, "maintained").Name},
		At:      rapid.SampledFrom(moments).Draw(t, "at"),
		For:     drawDuration(t, minMaintenance, maxMaintenance),
		Reason:  rapid.SampledFrom([]string{"", "kernel: new"}).Draw(t, "reason"),
	}
}
