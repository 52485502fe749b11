package probe

import (
	"testing"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

func isLoss(server string) func(health.News) bool {
	return func(n health.News) bool {
		loss, ok := n.(health.Loss)
		return ok && string(loss.Server) == server
	}
}

func isFound(server string) func(health.News) bool {
	return func(n health.News) bool {
		found, ok := n.(health.Found)
		return ok && string(found.Server) == server
	}
}

// echoing is a site with echo only.
func (l *lan) echoing() *topology.Site {
	site := l.site(manual(topology.Check{ICMP: &topology.ICMP{}}))
	site.Alive = topology.Alive{Interval: 20 * time.Millisecond, Fall: 3}
	return site
}

func TestABlockedServerIsLostInTimeAndFoundAgain(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	r := l.prober()
	r.set(l.echoing())
	for range 4 { // two servers, two families
		r.next("found", func(n health.News) bool { _, ok := n.(health.Found); return ok })
	}
	// It takes 50 to 70 ms; the block took effect at some time before the command had ended.
	soonest(t, 150*time.Millisecond, func() (took time.Duration) {
		l.run(l.servers[1], "nft 'add table inet t { chain c { type filter hook input priority 0; policy drop; }; }'")
		blocked := time.Now()
		for range 2 {
			loss := r.next("loss", isLoss("web2")).(health.Loss)
			t.Logf("%s lost %s after the block: %s", loss.Address, loss.At.Sub(blocked), loss.Failure)
			took = max(took, loss.At.Sub(blocked))
			if loss.Failure != "no reply to 3 echoes" {
				t.Errorf("failure %q", loss.Failure)
			}
		}
		l.run(l.servers[1], "nft delete table inet t")
		r.next("found", isFound("web2"))
		r.next("found", isFound("web2"))
		return took
	})
	select {
	case n := <-r.news:
		t.Errorf("further news: %+v", n)
	default:
	}
}

func TestAServerThatNeverAnsweredEchoIsNotLost(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	l.run(l.servers[0], "sysctl -qw net.ipv4.icmp_echo_ignore_all=1 net.ipv6.icmp.echo_ignore_all=1")
	r := l.prober()
	r.set(l.echoing())
	// Another server's loss comes after web1 had its chances.
	r.next("found", isFound("web2"))
	l.run(l.servers[1], "sysctl -qw net.ipv4.icmp_echo_ignore_all=1 net.ipv6.icmp.echo_ignore_all=1")
	r.next("loss of web2", func(n health.News) bool {
		if isLoss("web1")(n) {
			t.Error("web1 is lost")
		}
		return isLoss("web2")(n)
	})
}

func TestALinkThatGoesDownLosesItsServersAtOnce(t *testing.T) {
	for name, alive := range map[string]topology.Alive{
		"with echo":    {Interval: 200 * time.Millisecond, Fall: 3},
		"without echo": {Off: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLAN(t, 1)
			l.serve(l.servers[0], says("ok"))
			r := l.prober()
			site := l.site(topology.Check{HTTP: &topology.HTTP{}, Interval: 20 * time.Millisecond, FastInterval: 20 * time.Millisecond})
			site.Alive = alive
			r.set(site)
			found := func() {
				if !alive.Off {
					r.next("found", isFound("web1"))
					r.next("found by the other family", isFound("web1"))
				}
				r.result(web(1, vip4), "pass", passes)
			}
			found()
			back := func() {
				for range 2 {
					if f := r.next("found", isFound("web1")).(health.Found); f.ByLink != alive.Off {
						t.Errorf("found by link: %v", f)
					}
				}
				r.result(web(1, vip4), "pass", passes)
			}
			down := func() (took time.Duration) {
				l.run(l.sw, "ip link set router down")
				now := time.Now()
				for range 2 {
					loss := r.next("loss", isLoss("web1")).(health.Loss)
					if loss.Failure != "link lan0 is down" {
						t.Errorf("failure %q", loss.Failure)
					}
					took = max(took, loss.At.Sub(now))
				}
				return took
			}
			up := func() {
				l.run(l.sw, "ip link set router up")
				back()
			}
			down()
			up()
			soonest(t, 50*time.Millisecond, func() time.Duration { // once more: the edge is seen again
				took := down()
				up()
				return took
			})
		})
	}
}

func TestALinkThatAnOperatorPutsDownLosesItsServers(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	r := l.prober()
	r.set(l.echoing())
	for range 3 { // once more: the edge is seen again
		r.next("found", isFound("web1"))
		r.next("found by the other family", isFound("web1"))
		l.run(l.router, "ip link set lan0 down")
		for range 2 {
			if loss := r.next("loss", isLoss("web1")).(health.Loss); loss.Failure != "link lan0 is down" {
				t.Errorf("failure %q", loss.Failure)
			}
		}
		l.run(l.router, "ip link set lan0 up; ip addr add fd00:2::1/64 dev lan0 nodad")
	}
}

func TestPathsComeBackWithTheLink(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	l.serve(l.servers[0], says("ok"))
	r := l.prober()
	site := l.site(topology.Check{HTTP: &topology.HTTP{}, Interval: 50 * time.Millisecond, FastInterval: 20 * time.Millisecond})
	r.set(site)
	for _, target := range []health.Target{web(1, vip4), web(1, vip6)} {
		r.result(target, "pass", passes)
	}
	// The operator's down takes the tables' routes, and IPv6 addresses, along.
	l.run(l.router, "ip link set lan0 down")
	for _, target := range []health.Target{web(1, vip4), web(1, vip6)} {
		r.result(target, "failure", fails)
	}
	l.run(l.router, "ip link set lan0 up; ip addr add fd00:2::1/64 dev lan0 nodad")
	for _, target := range []health.Target{web(1, vip4), web(1, vip6)} {
		r.result(target, "pass", passes)
	}
}

func TestAnAddressThatNeverAnsweredEchoIsFoundWithItsLink(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	l.run(l.servers[0], "sysctl -qw net.ipv4.icmp_echo_ignore_all=1 net.ipv6.icmp.echo_ignore_all=1")
	r := l.prober()
	r.set(l.echoing())
	for range 2 { // once more: the edge is seen again
		l.run(l.sw, "ip link set router down")
		r.next("loss", isLoss("web1"))
		r.next("loss by the other family", isLoss("web1"))
		l.run(l.sw, "ip link set router up")
		for range 2 {
			if f := r.next("found", isFound("web1")).(health.Found); !f.ByLink {
				t.Errorf("found by echo: %v", f)
			}
		}
	}
}

func TestAnEchoThatCannotBeSentSaysNothing(t *testing.T) {
	for name, spoil := range map[string]string{
		"rules flushed":  "ip rule flush",
		"rule refuses":   "ip rule add unreachable priority 10",
		"rule prohibits": "ip rule add prohibit priority 10",
		"route refuses":  "ip route add unreachable 192.0.2.11",
		"firewall":       "nft 'add table ip t { chain c { type filter hook output priority 0; policy drop; }; }'",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLAN(t, 2)
			r := l.prober()
			r.set(l.echoing())
			for range 4 { // two servers, two families
				r.next("found", func(n health.News) bool { _, ok := n.(health.Found); return ok })
			}
			l.run(l.router, spoil)
			// web2's loss by IPv6 comes after web1's by IPv4 would have.
			l.run(l.servers[1], "sysctl -qw net.ipv6.icmp.echo_ignore_all=1")
			r.next("loss by IPv6", func(n health.News) bool {
				loss, ok := n.(health.Loss)
				if ok && loss.Address.Is4() {
					t.Errorf("%s is lost: %s", loss.Address, loss.Failure)
				}
				return ok && loss.Address.Is6()
			})
		})
	}
}

func TestALinkThatIsMadeAnewFindsItsServers(t *testing.T) {
	for name, alive := range map[string]topology.Alive{
		"never answered": {Interval: 20 * time.Millisecond, Fall: 3},
		"without echo":   {Off: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLAN(t, 1)
			l.run(l.servers[0], "sysctl -qw net.ipv4.icmp_echo_ignore_all=1 net.ipv6.icmp.echo_ignore_all=1")
			r := l.prober()
			site := l.echoing()
			site.Alive = alive
			r.set(site)
			for range 2 { // once more: the edge is seen again
				l.run(l.router, "ip link del lan0")
				r.next("loss", isLoss("web1"))
				r.next("loss by the other family", isLoss("web1"))
				l.plug(l.router, "lan0", "router", 1)
				for range 2 {
					if f := r.next("found", isFound("web1")).(health.Found); !f.ByLink {
						t.Errorf("found by echo: %v", f)
					}
				}
			}
		})
	}
}

func TestLinksAreWatchedAfterAReadError(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	r := l.prober()
	r.set(l.site(manual(topology.Check{ICMP: &topology.ICMP{}})))
	if err := r.links.file.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	// As long as nothing can be read, links are looked at now and then.
	l.run(l.sw, "ip link set router down")
	r.next("loss", isLoss("web1"))
	if err := r.links.file.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	l.run(l.sw, "ip link set router up")
	r.next("found", isFound("web1"))
	r.next("found by the other family", isFound("web1"))
	l.run(l.sw, "ip link set router down")
	r.next("loss again", isLoss("web1"))
}
