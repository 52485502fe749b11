package controller_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/linux"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/controller"
	"github.com/routesteer/routesteer/internal/netns"
	"github.com/routesteer/routesteer/internal/netns/netnstest"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

const kernelSite = `
servers: {web1: {addresses: [192.0.2.11, "2001:db8:2::11"]}, web2: {addresses: [192.0.2.12, "2001:db8:2::12"]}}
checks: {web: {http: {port: 80}, rise: 1, fall: 1}}
vips:
  - {prefix: 203.0.113.32/27, check: web, primary: web1}
  - {prefix: 203.0.113.64/27, check: web, primary: [web1, web2], mode: ecmp}
  - {prefix: "2001:db8:64::/64", check: web, primary: web1}
routers: {edge: {linux: {table: 100}}}
`

const kernelRoutes = "203.0.113.32/27 via 192.0.2.11; 203.0.113.64/27 via 192.0.2.11, 192.0.2.12; 2001:db8:64::/64 via 2001:db8:2::11"

// A machine is a router with a real kernel, in a namespace, and the real
// controller, whose servers are made of words.
type machine struct {
	t       *testing.T
	site    string // the configuration
	ns      *netns.Namespace
	peer    *netns.Namespace // has the other end of lan0
	control *controller.Controller
	senses  *senses
	eye     *linux.Driver // looks and changes nothing
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	return newMachineOf(t, kernelSite, kernelRoutes)
}

// newMachineOf is one whose controller has brought about just these routes.
func newMachineOf(t *testing.T, text, routes string) *machine {
	t.Helper()
	m := &machine{t: t, site: text, ns: netnstest.New(t, "router"), peer: netnstest.New(t, "peer"), senses: &senses{ill: map[health.Target]string{}}}
	m.plug()
	site, err := topology.Parse("site.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	m.eye = m.open(steer.NewCohorts(site))
	t.Cleanup(func() {
		if err := m.eye.Close(); err != nil {
			t.Error(err)
		}
	})
	m.start()
	m.senses.tell()
	m.await("at the start", routes)
	return m
}

func (m *machine) open(cohorts *steer.Cohorts) *linux.Driver {
	m.t.Helper()
	d, err := linux.OpenAt(m.ns.Fd(), *cohorts.Site().Routers[0].Linux, cohorts.Prefixes(), slog.New(slog.DiscardHandler))
	if err != nil {
		m.t.Fatal(err)
	}
	return d
}

func (m *machine) start() {
	c, err := controller.New(controller.Options{
		Load: func() (*topology.Site, error) { return topology.Parse("site.yaml", []byte(m.site)) },
		Open: func(_ topology.Router, cohorts *steer.Cohorts) (drivers.Driver, error) { return m.open(cohorts), nil },
		Sense: func(news chan<- health.News, _ *slog.Logger) (controller.Prober, error) {
			m.senses.news = news
			return m.senses, nil
		},
		StateFile: filepath.Join(m.t.TempDir(), "state.json"), Version: "test", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	m.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			m.t.Error(err)
		}
	})
	<-c.Running()
	m.control = c
}

// plug makes lan0, whose other end is in the peer.
func (m *machine) plug() {
	m.t.Helper()
	m.sh(m.ns, fmt.Sprintf("ip link add lan0 type veth peer name lan0 netns /proc/%d/fd/%d", os.Getpid(), m.peer.Fd()))
	m.sh(m.peer, "ip link set lan0 up")
	m.sh(m.ns, "ip link set lan0 up; ip addr add 192.0.2.1/24 dev lan0; ip addr add 2001:db8:2::1/64 dev lan0 nodad")
}

func (m *machine) sh(ns *netns.Namespace, script string) {
	m.t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := ns.Start(cmd); err != nil {
		m.t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		m.t.Fatalf("in %s: %s: %v\n%s", ns.Name, script, err, &out)
	}
}

// talk connects from the router to a listener of the peer.
func (m *machine) talk(address string) {
	m.t.Helper()
	var listener net.Listener
	if err := m.peer.Do(func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	}); err != nil {
		m.t.Fatal(err)
	}
	defer listener.Close()
	if err := m.ns.Do(func() error {
		conn, err := net.DialTimeout("tcp", address, 10*time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	}); err != nil {
		m.t.Errorf("no packet gets through: %v", err)
	}
}

// routes are the routes of our prefixes: "PREFIX via ADDRESS; …".
func (m *machine) routes() string {
	m.t.Helper()
	routes, err := m.eye.Routes(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	var words []string
	for _, r := range routes {
		var hops []string
		for _, h := range r.NextHops {
			hops = append(hops, h.Address.String())
		}
		words = append(words, r.Prefix.String()+" via "+strings.Join(hops, ", "))
	}
	return strings.Join(words, "; ")
}

// repairLimit is what is promised.
const repairLimit = time.Second

// await waits until the kernel has just these routes, as long as is promised.
func (m *machine) await(after, want string) {
	m.t.Helper()
	began := time.Now()
	limit := time.NewTimer(repairLimit)
	defer limit.Stop()
	for got := m.routes(); got != want; got = m.routes() {
		select {
		case <-m.eye.Changed():
		case <-limit.C:
			m.t.Fatalf("%s: %s later the kernel has\n%s, want\n%s", after, repairLimit, got, want)
		}
	}
	m.t.Logf("%s: as wanted after %s", after, time.Since(began).Round(time.Millisecond))
}

// router is what status says of the router, once it has confirmed.
func (m *machine) router() api.Router {
	m.t.Helper()
	status, err := m.control.Status(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	return status.Routers[0]
}

func TestRoutesThatOthersTakeAwayAreBackWithinASecond(t *testing.T) {
	for _, c := range []struct {
		name, script string
		peer         string // in the peer
		then         string
	}{
		{name: "one is deleted", script: "ip route del 203.0.113.32/27 table 100"},
		{name: "one is replaced", script: "ip route replace 203.0.113.32/27 via 192.0.2.12 table 100 proto 82"},
		{name: "a stray stands beside", script: "ip route add 203.0.113.32/27 via 192.0.2.12 table 100 proto 82 metric 5"},
		{name: "the table is flushed", script: "ip route flush table 100; ip -6 route flush table 100"},
		{name: "an IPv6 one is deleted", script: "ip -6 route del 2001:db8:64::/64 table 100"},
		{name: "carrier is lost and comes back", peer: "ip link set lan0 down; ip link set lan0 up"},
		{name: "the link is put down and up", script: "ip link set lan0 down; ip link set lan0 up; ip addr add 2001:db8:2::1/64 dev lan0 nodad"},
		{name: "the address is taken and given back", script: "ip addr del 192.0.2.1/24 dev lan0; ip addr add 192.0.2.1/24 dev lan0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t)
			if c.peer != "" {
				m.sh(m.peer, c.peer)
			}
			if c.script != "" {
				m.sh(m.ns, c.script)
			}
			m.await(c.name, kernelRoutes)
		})
	}
}

func TestRoutesOverALinkThatIsMadeAnewAreBackWithinASecond(t *testing.T) {
	m := newMachine(t)
	// More often than a fight may be: what links take away is none.
	for i := range 8 {
		m.sh(m.ns, "ip link del lan0")
		m.await("the link is deleted", "")
		m.plug()
		m.await(fmt.Sprintf("the link is made anew, %d", i+1), kernelRoutes)
	}
	for i := range 8 {
		m.sh(m.ns, "ip link set lan0 down; ip link set lan0 up; ip addr add 2001:db8:2::1/64 dev lan0 nodad")
		m.await(fmt.Sprintf("the link flaps, %d", i+1), kernelRoutes)
	}
	if r := m.router(); len(r.Fighting) > 0 {
		t.Errorf("it takes a link that comes and goes for a fight: %+v", r)
	}
}

func TestAFightForAKernelsRouteIsNoticed(t *testing.T) {
	m := newMachine(t)
	others := strings.Replace(kernelRoutes, "203.0.113.32/27 via 192.0.2.11", "203.0.113.32/27 via 192.0.2.12", 1)
	for range 5 {
		m.sh(m.ns, "ip route replace 203.0.113.32/27 via 192.0.2.12 table 100 proto 82")
		m.await("another program's route", kernelRoutes)
	}
	m.sh(m.ns, "ip route replace 203.0.113.32/27 via 192.0.2.12 table 100 proto 82")
	// A repair of another prefix comes after one of this would have.
	m.sh(m.ns, "ip route del 203.0.113.64/27 table 100")
	m.await("another prefix is repaired, and this left alone", others)
	if r := m.router(); len(r.Fighting) != 1 || r.InSync {
		t.Errorf("status says %+v", r)
	}
	// A failure still moves it.
	m.senses.falls("web1", "connection refused", vip1, vip2, netip.MustParsePrefix("2001:db8:64::/64"))
	m.senses.tell()
	m.await("web1 is down", "203.0.113.32/27 via 192.0.2.12; 203.0.113.64/27 via 192.0.2.12; 2001:db8:64::/64 via 2001:db8:2::12")
	if r := m.router(); r.Error != "" {
		t.Errorf("status says %+v", r)
	}
}

func TestAnIPv4VIPIsServedByAServerThatHasIPv6Only(t *testing.T) {
	m := newMachineOf(t, `
servers: {web1: 192.0.2.11, web3: {address: "2001:db8:2::13", via_inet6: true}}
checks: {web: {http: {port: 80}, rise: 1, fall: 1}}
vips: [{prefix: 203.0.113.32/27, check: web, primary: web1, backup: web3}]
routers: {edge: {linux: {table: 100}}}
`, "203.0.113.32/27 via 192.0.2.11")
	// The operator's rule sends traffic to our table.
	m.sh(m.ns, "ip rule add lookup 100 priority 1000")
	m.sh(m.peer, "ip addr add 2001:db8:2::13/64 dev lan0 nodad; ip addr add 203.0.113.33/32 dev lo; ip route add 192.0.2.0/24 via inet6 2001:db8:2::1 dev lan0")
	m.senses.falls("web1", "connection refused", vip1)
	m.senses.tell()
	m.await("web1 is down", "203.0.113.32/27 via 2001:db8:2::13")
	m.talk("203.0.113.33:80")
	m.sh(m.ns, "ip route del 203.0.113.32/27 table 100")
	m.await("it is deleted", "203.0.113.32/27 via 2001:db8:2::13")
	if r := m.router(); r.Error != "" {
		t.Errorf("status says %+v", r)
	}
}
