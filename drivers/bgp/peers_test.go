package bgp

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/topology"
)

// withAttributes is a site whose routes carry something of every kind.
func withAttributes(cfg *topology.BGP) {
	med := uint32(10)
	cfg.MED, cfg.Prepend, cfg.Origin, cfg.LocalPref = &med, 2, topology.OriginIncomplete, 200
	cfg.Communities = []topology.Community{
		{Global: 65000, Local1: 100}, {Global: 65535, Local1: 65281}, {Large: true, Global: 65000, Local1: 1, Local2: 2},
	}
}

func TestAttributesAreWhatBIRDSees(t *testing.T) {
	if elsewhere(t) {
		return
	}
	b := newRouter(t).startBird(birdConfig)
	m := speak(t, site(withAttributes), vip4, vip6)
	m.send(only(vip4), web1)
	m.send(only(vip6), web16)
	b.routes(vip4, web1)
	b.routes(vip6, web16)
	for _, p := range only(vip4, vip6) {
		seen := b.birdc("show route all for %s", p)
		needs(t, seen, "BGP.as_path: 65000 65000 65000\n", "BGP.med: 10", "BGP.origin: Incomplete",
			"BGP.community: (65000,100) (65535,65281)", "BGP.large_community: (65000, 1, 2)")
		lacks(t, seen, "local_pref: 200") // which is for iBGP
	}
	routes, err := m.driver.Routes(t.Context())
	if err != nil || len(routes) != 2 {
		t.Fatalf("%v, %v", routes, err)
	}
	needs(t, routes[0].Detail, "AS 65000", "med 10", "prepend 2", "community 65000:100", "no-export", "65000:1:2")
}

// TestAttributesAreWhatFRRSees, which lowers LOCAL_PREF by itself where it sees
// graceful-shutdown (RFC 8326).
func TestAttributesAreWhatFRRSees(t *testing.T) {
	if elsewhere(t) {
		return
	}
	f := newRouter(t).startFRR(frrConfig)
	m := speak(t, site(func(cfg *topology.BGP) {
		withAttributes(cfg)
		cfg.Communities = append(cfg.Communities, topology.Community{Global: 65535})
	}), vip4, vip6)
	m.send(only(vip4), web1)
	m.send(only(vip6), web16)
	f.routes(vip4, web1)
	f.routes(vip6, web16)
	for family, p := range map[string]netip.Prefix{"ipv4": vip4, "ipv6": vip6} {
		needs(t, f.show("show bgp "+family+" unicast "+p.String()), "65000 65000 65000", "metric 10", "localpref 0",
			"Origin incomplete", "65000:100", "graceful-shutdown", "no-export", "Large Community: 65000:1:2")
	}
}

func TestWithinAnASTheNextHopAndLocalPrefArrive(t *testing.T) {
	if elsewhere(t) {
		return
	}
	b := newRouter(t).startBird(strings.NewReplacer("192.0.2.1 as 65001", "192.0.2.1 as 65000", "hold time 9;", "hold time 9; direct;", "import all;", "import all; gateway direct;").Replace(birdConfig))
	m := speak(t, site(func(cfg *topology.BGP) {
		withAttributes(cfg)
		cfg.Prepend, cfg.Peers[0].ASN = 0, ourAS
	}), vip4, vip6)
	m.send(only(vip4), web1)
	m.send(only(vip6), web16)
	b.routes(vip4, web1)
	b.routes(vip6, web16)
	needs(t, b.birdc("show route all for %s", vip4), "BGP.local_pref: 200", "BGP.as_path: \n", "BGP.next_hop: 192.0.2.11")
}

// TestOneSessionCarriesBothFamilies: IPv4 over an IPv6 session, and with IPv6
// next hops (RFC 8950).
func TestOneSessionCarriesBothFamilies(t *testing.T) {
	if elsewhere(t) {
		return
	}
	config := strings.NewReplacer(
		"local 192.0.2.1 as", "local 2001:db8:1::1 as", "neighbor 192.0.2.2 as", "neighbor 2001:db8:1::2 as",
		"ipv4 { import all;", "ipv4 { extended next hop; import all;",
	).Replace(birdConfig)
	b := newRouter(t).startBird(config)
	m := speak(t, site(func(cfg *topology.BGP) { cfg.Peers[0].Address = router6 }), vip4, vip4b, vip6)
	m.send(only(vip4), web1)
	m.send(only(vip4b), web16)
	m.send(only(vip6), web16)
	b.routes(vip4, web1)
	b.routes(vip4b, web16)
	b.routes(vip6, web16)
	m.send(only(vip4b), web26)
	b.routes(vip4b, web26)
}

// secondPeer adds a session by IPv6 to BIRD's configuration.
const secondPeer = `
protocol bgp second {
	local 2001:db8:1::1 as 65001;
	neighbor 2001:db8:1::2 as 65000;
	ipv4 { import none; export none; };
	ipv6 { import none; export none; };
}
`

func TestSessionsAreToldInWords(t *testing.T) {
	if elsewhere(t) {
		return
	}
	b := newRouter(t).startBird(birdConfig + secondPeer)
	m := speak(t, site(func(cfg *topology.BGP) {
		second := cfg.Peers[0]
		second.Address = router6
		cfg.Peers = append(cfg.Peers, second)
	}), vip4, vip4b)
	m.send(only(vip4), web1)
	m.send(only(vip4b), web1, web2)
	info := m.established()
	if info.Down != nil {
		t.Errorf("down: %v", info.Down)
	}
	needs(t, info.Sessions[0].Detail, "AS 65001", "IPv4", "IPv6", "graceful restart", "add-path", "2 prefixes announced", "hold time 9s")
	needs(t, strings.Join(info.Problems, "\n"), "peer 2001:db8:1::1 takes no add-path (RFC 7911) for IPv4: 1 prefixes of several next hops reach it with one")

	<-m.driver.Changed()
	b.birdc("disable second")
	const shut = "the router ended the session: NOTIFICATION 6/2 cease, administrative shutdown"
	info = m.informed("one of two is down, and why, also when it is tried again", func(info drivers.Info) bool {
		return !info.Sessions[1].Well && strings.Contains(info.Sessions[1].Detail, "refused")
	})
	if info.Down != nil {
		t.Errorf("down although one session is established: %v", info.Down)
	}
	needs(t, strings.Join(info.Problems, "\n"), "not all BGP sessions are established", "2001:db8:1::1", shut)

	b.birdc("disable routesteer")
	info = m.informed("both are down, and why", func(info drivers.Info) bool {
		return info.Down != nil && strings.Contains(info.Down.Error(), "cease")
	})
	needs(t, info.Down.Error(), "no BGP session is established, nothing is announced: 192.0.2.1", "cease")

	m.send(only(vip4), web2) // while nobody hears it
	b.birdc("enable routesteer")
	b.routes(vip4, web2)
	b.kill()
	info = m.informed("BIRD has died", func(info drivers.Info) bool { return strings.Contains(info.Sessions[0].Detail, "refused") })
	needs(t, info.Sessions[0].Detail, "connection to port 179 refused: does a BGP speaker run on the router")
	b.again()
	b.routes(vip4, web2)
}

// TestAFileOfAnotherASIsExplained: the router is of another AS than the file
// says, and says so.
func TestAFileOfAnotherASIsExplained(t *testing.T) {
	if elsewhere(t) {
		return
	}
	newRouter(t).startBird(birdConfig)
	m := speak(t, site(func(cfg *topology.BGP) { cfg.Peers[0].ASN = 65002 }), vip4)
	m.send(only(vip4), web1)
	info := m.informed("the AS is wrong", func(info drivers.Info) bool { return strings.Contains(info.Sessions[0].Detail, "ended") })
	needs(t, info.Sessions[0].Detail, "NOTIFICATION", "bad peer as", "the file says that the router is of AS 65002 and we are of AS 65000")
}

func TestPasswords(t *testing.T) {
	if elsewhere(t) {
		return
	}
	b := newRouter(t).startBird(strings.Replace(birdConfig, "hold time 9;", `hold time 9; password "hush hush";`, 1))
	for _, c := range []struct {
		password string
		well     bool
	}{{"wrong", false}, {"hush hush", true}} {
		m := speak(t, site(func(cfg *topology.BGP) { cfg.Peers[0].Password = secretFile(t, c.password) }), vip4)
		m.send(only(vip4), web1)
		if c.well {
			b.routes(vip4, web1)
			continue
		}
		info := m.informed("the password is wrong", func(info drivers.Info) bool { return info.Sessions[0].Detail != "" })
		needs(t, info.Sessions[0].Detail, "has it the same TCP MD5 password", "RFC 2385")
		lacks(t, info.Sessions[0].Detail, c.password)
		m.host.Close()
	}
}

func TestPassivePeersWithPasswordAndTTLSecurity(t *testing.T) {
	if elsewhere(t) {
		return
	}
	b := newRouter(t).startBird(strings.Replace(birdConfig, "hold time 9;", `hold time 9; connect retry time 1; connect delay time 1; ttl security on; password "hush";`, 1))
	m := speak(t, site(func(cfg *topology.BGP) {
		cfg.Peers[0].Passive, cfg.Peers[0].TTLSecurity, cfg.Peers[0].Password = true, 1, secretFile(t, "hush")
		cfg.Peers[0].Source = ours4
	}), vip4)
	m.send(only(vip4), web1)
	b.routes(vip4, web1)
}

// farAway gives the router an address to which packets of ours go by another one,
// so that those of TTL 1 do not arrive.
func (r *router) farAway(t *testing.T) netip.Addr {
	t.Helper()
	far := netip.MustParseAddr("198.51.100.1")
	r.run("ip link set lo up")
	r.run("ip address add %s/32 dev lo", far)
	hop := r.attach(t, "hop", true, "192.0.2.9/24")
	hop.ip("route add %s/32 via %s", far, router4)
	for name, value := range map[string]string{"ip_forward": "1", "conf/all/send_redirects": "0", "conf/eth0/send_redirects": "0"} {
		if err := hop.kernel.Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0) }); err != nil {
			t.Fatal(err)
		}
	}
	r.here("ip route add %s/32 via 192.0.2.9", far)
	return far
}

// TestMultihopOnBIRD: a session with an address that is two hops away.
func TestMultihopOnBIRD(t *testing.T) {
	if elsewhere(t) {
		return
	}
	r := newRouter(t)
	far := r.farAway(t)
	b := r.startBird(strings.NewReplacer(
		"protocol device { }", "protocol device { }\nprotocol direct { ipv4; ipv6; }", // for next hops to be looked up in
		"local 192.0.2.1 as 65001;", "local "+far.String()+" as 65001;\n\tmultihop 2;",
	).Replace(birdConfig))
	m := speak(t, site(func(cfg *topology.BGP) { cfg.Peers[0].Address, cfg.Peers[0].Multihop = far, 2 }), vip4, vip6)
	m.sendBoth()
	b.routes(vip4, web1)
	b.routes(vip6, web16)
	m.send(only(vip4), web2)
	b.routes(vip4, web2)
}

func TestMultihopOnFRR(t *testing.T) {
	if elsewhere(t) {
		return
	}
	r := newRouter(t)
	far := r.farAway(t)
	f := r.startFRR(strings.Replace(frrConfig, " neighbor 192.0.2.2 timers 3 9\n",
		" neighbor 192.0.2.2 timers 3 9\n neighbor 192.0.2.2 ebgp-multihop 2\n neighbor 192.0.2.2 update-source "+far.String()+"\n", 1))
	m := speak(t, site(func(cfg *topology.BGP) { cfg.Peers[0].Address, cfg.Peers[0].Multihop = far, 2 }), vip4, vip6)
	m.sendBoth()
	f.routes(vip4, web1)
	f.routes(vip6, web16)
	m.send(only(vip4), web2)
	f.routes(vip4, web2)
}

// TestTTLSecurity: BIRD refuses packets of a TTL below 255, and gets them from
// a speaker that knows.
func TestTTLSecurity(t *testing.T) {
	if elsewhere(t) {
		return
	}
	b := newRouter(t).startBird(strings.Replace(birdConfig, "hold time 9;", "hold time 9; passive on; ttl security on;", 1))
	without := speak(t, site(nil), vip4)
	without.send(only(vip4), web1)
	without.informed("it cannot connect", func(info drivers.Info) bool {
		return strings.Contains(info.Sessions[0].Detail, "is ttl_security set on both sides?")
	})
	without.host.Close()
	b.kill() // which still waits for packets of the first speaker
	b.again()
	with := speak(t, site(func(cfg *topology.BGP) { cfg.Peers[0].TTLSecurity = 1 }), vip4)
	with.send(only(vip4), web1)
	b.routes(vip4, web1)
}

// TestASessionThatIsCutComesBack cuts it for longer than the hold time.
func TestASessionThatIsCutComesBack(t *testing.T) {
	if elsewhere(t) {
		return
	}
	b := newRouter(t).startBird(strings.Replace(birdConfig, "hold time 9", "hold time 3", 1))
	m := speak(t, site(func(cfg *topology.BGP) { cfg.Peers[0].HoldTime = 3 * time.Second }), vip4)
	m.send(only(vip4), web1)
	b.routes(vip4, web1)
	b.run("ip address del 192.0.2.1/24 dev lan0")
	m.informed("the session is down", func(info drivers.Info) bool { return info.Down != nil })
	m.send(only(vip4), web2)
	b.run("ip address add 192.0.2.1/24 dev lan0")
	b.routes(vip4, web2)
}

// TestAReloadTouchesNoSession: other prefixes, the same session.
func TestAReloadTouchesNoSession(t *testing.T) {
	if elsewhere(t) {
		return
	}
	b := newRouter(t).startBird(birdConfig)
	m := speak(t, site(nil), vip4, vip6)
	m.send(only(vip4), web1)
	m.send(only(vip6), web16)
	b.routes(vip4, web1)
	b.routes(vip6, web16)
	since := m.established().Sessions[0].Since
	gone := b.removals(vip4)
	m.open(site(nil), vip4, vip4b)
	m.send(only(vip4b), web1)
	b.routes(vip4b, web1)
	b.routes(vip6) // the site's no more
	if gaps := gone(); len(gaps) > 0 {
		t.Error(gaps)
	}
	if now := m.established().Sessions[0].Since; !now.Equal(since) {
		t.Errorf("the session was begun at %v, and again at %v", since, now)
	}
}

// TestNothingListensUnlessAskedTo also for BFD, whose port others may need.
func TestNothingListensUnlessAskedTo(t *testing.T) {
	r := newRouter(t)
	m := speak(t, site(nil), vip4)
	m.send(only(vip4), web1)
	if out := r.here("ss -Hlntu"); strings.TrimSpace(out) != "" {
		t.Errorf("something listens:\n%s", out)
	}
}

func TestBFDFindsADeadRouterSoon(t *testing.T) {
	if elsewhere(t) {
		return
	}
	config := birdConfig + `protocol bfd { interface "lan0" { min rx interval 100 ms; min tx interval 100 ms; multiplier 3; }; }`
	b := newRouter(t).startBird(strings.Replace(config, "hold time 9;", "hold time 90; bfd on;", 1))
	m := speak(t, site(func(cfg *topology.BGP) {
		cfg.Peers[0].HoldTime, cfg.Peers[0].BFD = 90*time.Second, &topology.BFD{Interval: 100 * time.Millisecond, Multiplier: 3}
	}), vip4)
	m.send(only(vip4), web1)
	b.routes(vip4, web1)
	b.soon("BFD is up", func() bool { return strings.Contains(b.birdc("show bfd sessions"), "Up") })
	start := time.Now()
	b.run("ip address del 192.0.2.1/24 dev lan0")
	m.informed("the session is down", func(info drivers.Info) bool { return info.Down != nil })
	t.Logf("found after %v", time.Since(start))
	if took := time.Since(start); took > 45*time.Second {
		t.Errorf("found after %v: that was the hold time's doing", took)
	}
}
