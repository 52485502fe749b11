package probe

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// quickARP makes the router's kernel give a neighbour up within 0.3 s, as an
// operator may.
func (l *lan) quickARP() {
	l.run(l.router, "sysctl -qw net.ipv4.neigh.lan0.retrans_time_ms=100 net.ipv6.neigh.lan0.retrans_time_ms=100")
}

// vanish takes a server off the switch: the router's link stays up.
func (l *lan) vanish(port string) { l.run(l.sw, "ip link set "+port+" down") }
func (l *lan) appear(port string) { l.run(l.sw, "ip link set "+port+" up") }

func TestANeighbourThatFailsIsLostBeforeEchoWouldTell(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	l.quickARP()
	r := l.prober()
	site := l.echoing()
	site.Alive = topology.Alive{Interval: 500 * time.Millisecond, Fall: 20} // ten seconds
	r.set(site)
	for range 4 { // two servers, two families
		r.next("found", func(n health.News) bool { _, ok := n.(health.Found); return ok })
	}
	l.vanish("web2")
	gone := time.Now()
	for range 2 {
		loss := r.next("loss", isLoss("web2")).(health.Loss)
		if loss.Failure != noNeighbour {
			t.Errorf("failure %q", loss.Failure)
		}
		t.Logf("%s lost after %s", loss.Address, loss.At.Sub(gone).Round(time.Millisecond))
		if took := loss.At.Sub(gone); took > 8*time.Second {
			t.Errorf("%s lost after %s: no sooner than by echo", loss.Address, took)
		}
	}
	l.appear("web2")
	r.next("found", isFound("web2"))
	r.next("found by the other family", isFound("web2"))
}

func TestWithoutEchoANeighbourThatFailsIsLostAndFoundAgain(t *testing.T) {
	for name, alive := range map[string]topology.Alive{
		"never answered": {Interval: 20 * time.Millisecond, Fall: 3},
		"without echo":   {Off: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLAN(t, 1)
			l.quickARP()
			l.run(l.servers[0], "sysctl -qw net.ipv4.icmp_echo_ignore_all=1 net.ipv6.icmp.echo_ignore_all=1")
			l.serve(l.servers[0], says("ok"))
			r := l.prober()
			site := l.site(topology.Check{HTTP: &topology.HTTP{}, Interval: 200 * time.Millisecond, FastInterval: 200 * time.Millisecond, Timeout: 100 * time.Millisecond})
			site.Alive = alive
			r.set(site)
			r.result(web(1, vip4), "pass", passes)
			r.result(web(1, vip6), "pass", passes)
			for range 2 { // once more: the edge is seen again
				l.vanish("web1")
				for range 2 {
					if loss := r.next("loss", isLoss("web1")).(health.Loss); loss.Failure != noNeighbour {
						t.Errorf("failure %q", loss.Failure)
					}
				}
				l.appear("web1")
				for range 2 {
					if found := r.next("found", isFound("web1")).(health.Found); !found.ByLink {
						t.Errorf("found by echo: %v", found)
					}
				}
				r.result(web(1, vip4), "pass", passes)
				r.result(web(1, vip6), "pass", passes)
			}
		})
	}
}

// forget is `arp -d` (arp(8)): the kernel tells of it as of a failure of its own.
func (l *lan) forget(address string) {
	l.t.Helper()
	request := struct {
		protocol unix.RawSockaddrInet4
		hardware [16]byte
		flags    int32
		netmask  [16]byte
		device   [16]byte
	}{}
	request.protocol.Family = unix.AF_INET
	request.protocol.Addr = netip.MustParseAddr(address).As4()
	copy(request.device[:], "lan0")
	err := l.router.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCDARP, uintptr(unsafe.Pointer(&request))); errno != 0 && errno != unix.ENXIO {
			return os.NewSyscallError("SIOCDARP", errno)
		}
		return nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

func TestStaleNewsOfANeighbourBringsNobodyDown(t *testing.T) {
	for name, alive := range map[string]topology.Alive{
		"with echo":    {Interval: 50 * time.Millisecond, Fall: 20},
		"without echo": {Off: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLAN(t, 2)
			l.quickARP()
			for _, n := range l.servers {
				l.serve(n, says("ok"))
			}
			r := l.prober()
			site := l.site(topology.Check{HTTP: &topology.HTTP{}, Interval: 50 * time.Millisecond, FastInterval: 50 * time.Millisecond})
			site.Alive = alive
			r.set(site)
			for i := range 2 {
				r.result(web(i+1, vip4), "pass", passes)
				r.result(web(i+1, vip6), "pass", passes)
			}
			for range 10 {
				l.run(l.router, "ip neigh flush dev lan0; ip -6 neigh flush dev lan0")
				l.forget("192.0.2.11")
				l.run(l.router, "ip neigh replace 192.0.2.11 dev lan0 nud failed 2>/dev/null || true")
				l.forget("192.0.2.11")
				for _, vip := range []netip.Prefix{vip4, vip6} {
					r.next("pass", func(n health.News) bool {
						if isLoss("web1")(n) {
							t.Fatalf("lost: %+v", n)
						}
						result, ok := n.(health.Result)
						return ok && result.Target == web(1, vip) && result.OK()
					})
				}
			}
			// web2's loss comes after web1's would have.
			l.vanish("web2")
			r.next("loss of web2", func(n health.News) bool {
				if isLoss("web1")(n) {
					t.Errorf("lost: %+v", n)
				}
				return isLoss("web2")(n)
			})
		})
	}
}

func TestANeighbourThatAnOperatorMadePermanentStaysSo(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	l.quickARP()
	_, rest, _ := strings.Cut(l.run(l.servers[0], "ip -o link show eth0"), "link/ether ")
	mac, _, _ := strings.Cut(rest, " ")
	l.run(l.router, "ip neigh replace 192.0.2.11 lladdr "+mac+" dev lan0 nud permanent")
	r := l.prober()
	site := l.echoing()
	site.Alive.Interval, site.Alive.Fall = 100*time.Millisecond, 10
	r.set(site)
	for range 4 {
		r.next("found", func(n health.News) bool { _, ok := n.(health.Found); return ok })
	}
	l.vanish("web1")
	loss := r.next("loss by IPv4", func(n health.News) bool {
		loss, ok := n.(health.Loss)
		return ok && loss.Address.Is4()
	}).(health.Loss)
	if loss.Failure == noNeighbour {
		t.Errorf("failure %q", loss.Failure)
	}
	if now := l.run(l.router, "ip neigh show 192.0.2.11 dev lan0"); !strings.Contains(now, "PERMANENT") {
		t.Errorf("it is now: %s", now)
	}
}

func TestTheOtherCardTakesOverWhenANeighbourFails(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	l.quickARP()
	for _, n := range l.servers {
		l.serve(n, says("ok"))
	}
	r := l.prober()
	site := l.twoCards()
	site.Alive.Off = true
	site.Checks[0].HTTP.Body = ""
	r.set(site)
	first, second := netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("192.0.2.12")
	by := func(address netip.Addr) func(health.Result) bool {
		return func(result health.Result) bool { return result.OK() && result.Address == address }
	}
	r.result(web(1, vip4), "pass by the first card", by(first))
	l.vanish("web1")
	r.next("loss", func(n health.News) bool {
		loss, ok := n.(health.Loss)
		return ok && loss.Address == first
	})
	r.result(web(1, vip4), "pass by the second card", by(second))
	l.appear("web1")
	r.next("found", func(n health.News) bool {
		found, ok := n.(health.Found)
		return ok && found.Address == first
	})
	r.result(web(1, vip4), "pass by the first card again", by(first))
}

func TestOnlyFailuresOfNeighboursWakeUs(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 0)
	var news int
	if err := l.router.Do(func() (err error) {
		s, err := newSockets()
		if err != nil {
			return err
		}
		defer s.close()
		news, err = openNeighbourNews(s)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(news), "neighbours")
	defer file.Close()
	l.run(l.router, `
		for state in reachable stale delay probe permanent; do
			ip neigh replace 192.0.2.99 lladdr 02:00:00:00:00:01 dev lan0 nud $state
		done
		ip neigh del 192.0.2.99 dev lan0`)
	buffer := make([]byte, 4096)
	if err := file.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	n, err := file.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	if state := buffer[neighbourStateAt]; state != unix.NUD_FAILED {
		t.Errorf("the first news of %d bytes has state %#x", n, state)
	}
}

func TestNeighboursAreHeardAfterAReadError(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	l.quickARP()
	r := l.prober()
	site := l.echoing()
	site.Alive = topology.Alive{Interval: 200 * time.Millisecond, Fall: 1000}
	r.set(site)
	r.next("found", isFound("web1"))
	r.next("found by the other family", isFound("web1"))
	for _, deadline := range []time.Time{time.Unix(1, 0), {}} {
		if err := r.near.file.SetReadDeadline(deadline); err != nil {
			t.Fatal(err)
		}
	}
	l.vanish("web1")
	for range 2 {
		if loss := r.next("loss", isLoss("web1")).(health.Loss); loss.Failure != noNeighbour {
			t.Errorf("failure %q", loss.Failure)
		}
	}
}

func TestAServerIsCheckedByTheAddressThatRoutersUse(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	for _, n := range l.servers {
		l.serve(n, says("ok"))
	}
	r := l.prober()
	site := l.twoCards()
	site.Checks[0].HTTP.Body = ""
	r.set(site)
	first, second := netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("192.0.2.12")
	by := func(address netip.Addr) func(health.Result) bool {
		return func(result health.Result) bool { return result.OK() && result.Address == address }
	}
	r.result(web(1, vip4), "pass by the first card", by(first))
	r.Use(web(1, vip4), second)
	r.result(web(1, vip4), "pass by the card in use", by(second))
	l.run(l.servers[1], "ip link set eth0 down")
	r.result(web(1, vip4), "pass by the other card when the one in use is lost", by(first))
	l.run(l.servers[1], "ip link set eth0 up")
	r.result(web(1, vip4), "pass by the card in use again", by(second))
	r.Use(web(1, vip4), netip.Addr{})
	r.result(web(1, vip4), "pass by the first card that is well", by(first))
}
