package linux

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/drivertest"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

func TestLinuxPassesTheExam(t *testing.T) {
	for name, cfg := range map[string]topology.Linux{
		"table main":                          defaults,
		"a table and a metric of our own":     {Table: 5253, Metric: 42, Protocol: 82},
		"a table whose number fits one octet": {Table: 77, Metric: 0, Protocol: 200},
	} {
		t.Run(name, func(t *testing.T) { drivertest.Exam(t, &bench{router: newRouter(t), cfg: cfg}) })
	}
}

// A bench is a kernel being examined, with ip(8) behind the driver's back.
type bench struct {
	router  *router
	cfg     topology.Linux
	compat  string        // net.ipv4.nexthop_compat_mode
	prepare func(*Driver) // called after Open; may be nil
}

func (b *bench) Open(t *testing.T, cohorts [][]netip.Prefix) drivers.Driver {
	d, err := OpenAt(b.router.kernel.Fd(), b.cfg, cohorts, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if b.prepare != nil {
		b.prepare(d)
	}
	return d
}

func (b *bench) Traits() drivertest.Traits {
	return drivertest.Traits{
		Hops4:       addrs("192.0.2.11", "192.0.2.12", "198.51.100.13"),
		Hops6:       addrs("2001:db8:1::11", "2001:db8:1::12", "2001:db8:2::13"),
		Unreachable: netip.MustParseAddr("10.99.99.99"),
		ECMP:        true, Weights: true, Foreign: true, Drift: true,
	}
}

func (b *bench) Plant(_ *testing.T, p netip.Prefix, hops []steer.NextHop) {
	b.replace(p, hops, "static")
}

func (b *bench) Bend(_ *testing.T, p netip.Prefix, hops []steer.NextHop) {
	b.replace(p, hops, fmt.Sprint(b.cfg.Protocol))
}

func (b *bench) replace(p netip.Prefix, hops []steer.NextHop, protocol string) {
	b.router.ip("%s route replace %s via %s proto %s metric %d table %d",
		flag(p), p, hops[0].Address, protocol, b.metric(p), b.cfg.Table)
}

func (b *bench) Take(_ *testing.T, p netip.Prefix) {
	b.router.ip("%s route del %s metric %d table %d", flag(p), p, b.metric(p), b.cfg.Table)
}

func (b *bench) metric(p netip.Prefix) int {
	if b.cfg.Metric == 0 && p.Addr().Is6() {
		return 1024
	}
	return b.cfg.Metric
}

// Guard listens for the kernel's news that the prefix's route has gone, and
// in table main also asks the kernel, over and over, where it would send a
// packet.
func (b *bench) Guard(t *testing.T, p netip.Prefix) func() []string {
	news := listen(t, b.router)
	stop := func() []string { return nil }
	if b.cfg.Table == unix.RT_TABLE_MAIN {
		stop = lookups(t, b.router, p)
	}
	return func() []string {
		gaps := stop()
		for _, m := range pending(t, news) {
			if table, q, ok := routeKey(m.payload); ok && m.kind == unix.RTM_DELROUTE && q == p && int(table) == b.cfg.Table {
				gaps = append(gaps, "the kernel told of its removal")
			}
		}
		if err := news.close(); err != nil {
			t.Error(err)
		}
		return gaps
	}
}

// listen opens a socket that gets all news of routes.
func listen(t *testing.T, r *router) *socket {
	t.Helper()
	s, err := openSocket(inNamespace(r.kernel.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.control(func(fd int) error { return subscribe(fd, watchBuffer) }); err != nil {
		t.Fatal(err)
	}
	return s
}

// pending returns the news that have come. The kernel sends them before it
// answers the request that they are of.
func pending(t *testing.T, s *socket) []message {
	t.Helper()
	var all []message
	for {
		if err := s.file.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		datagram, err := s.receive()
		if err != nil {
			return all
		}
		for head, payload := range messages(datagram) {
			all = append(all, message{kind: head.Type, payload: append([]byte(nil), payload...)})
		}
	}
}

// lookups asks where a packet to the prefix would go until stop is called,
// which says when the answer was "nowhere": for IPv6, twice in a row.
func lookups(t *testing.T, r *router, p netip.Prefix) (stop func() []string) {
	t.Helper()
	s, err := openSocket(inNamespace(r.kernel.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	var (
		gaps []string
		asks int
		end  = make(chan struct{})
		wg   sync.WaitGroup
	)
	wg.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
			}
			asks++
			err := lookup(s, p.Addr())
			if err != nil && p.Addr().Is6() {
				err = lookup(s, p.Addr()) // the kernel's own race; see the package comment
			}
			if err != nil {
				gaps = append(gaps, fmt.Sprintf("at lookup %d: %v", asks, err))
			}
		}
	})
	return func() []string {
		close(end)
		wg.Wait()
		if err := s.close(); err != nil {
			t.Error(err)
		}
		t.Logf("%s: %d lookups", p, asks)
		return gaps
	}
}

// lookup asks the kernel for the route of one packet.
func lookup(s *socket, to netip.Addr) error {
	s.seq++
	m := lookupRoute(to)
	m.flags = unix.NLM_F_REQUEST
	if err := s.send(m.encode(nil, s.seq)); err != nil {
		return err
	}
	datagram, err := s.receive()
	if err != nil {
		return err
	}
	for head, payload := range messages(datagram) {
		if head.Type == unix.NLMSG_ERROR {
			return parseAck(head, payload)
		}
		if head.Type == unix.RTM_NEWROUTE && !hasGateway(payload) {
			return fmt.Errorf("no gateway in the answer, type %d", payload[7])
		}
	}
	return nil
}

func hasGateway(payload []byte) bool {
	for kind := range attributes(payload[unix.SizeofRtMsg:]) {
		if kind == unix.RTA_GATEWAY {
			return true
		}
	}
	return false
}

func addrs(words ...string) []netip.Addr {
	var all []netip.Addr
	for _, w := range words {
		all = append(all, netip.MustParseAddr(w))
	}
	return all
}

// flag is ip(8)'s flag for the prefix's family.
func flag(p netip.Prefix) string {
	if p.Addr().Is6() {
		return "-6"
	}
	return "-4"
}

// hops reads "192.0.2.11" or "192.0.2.11*3 192.0.2.12", with the weight after
// the star.
func hops(t testing.TB, words string) []steer.NextHop {
	t.Helper()
	var all []steer.NextHop
	for word := range strings.FieldsSeq(words) {
		h := steer.NextHop{Weight: 1}
		address, weight, ok := strings.Cut(word, "*")
		h.Address = netip.MustParseAddr(address)
		if ok {
			if _, err := fmt.Sscan(weight, &h.Weight); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, h)
	}
	return all
}
