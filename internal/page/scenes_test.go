package page_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

// large is a site of so many VIPs and servers: each VIP has a home, and all others
// stand in for it.
func large(vips, servers int) string {
	var b strings.Builder
	b.WriteString("servers:\n")
	for i := range servers {
		fmt.Fprintf(&b, "  web%d: 192.0.2.%d\n", i+1, i+11)
	}
	b.WriteString("checks: {web: {http: {port: 80}, rise: 1, fall: 1}}\npolicy: {failback: {after: 1h}, correlated: act}\nvips:\n")
	for i := range vips {
		address := netip.AddrFrom4([4]byte{198, byte(18 + i>>16), byte(i >> 8), byte(i)})
		fmt.Fprintf(&b, "  - {prefix: %s/32, check: web, primary: web%d}\n", address, i%servers+1)
	}
	b.WriteString("routers: {edge1: {linux: {}}, edge2: {linux: {table: 100}}}\n")
	return b.String()
}

// many is a site of so many VIPs that share their checks, as ten thousand customers'
// would.
func many(vips int) string {
	return strings.Replace(large(vips, 10), "fall: 1}", "fall: 1, through: address}", 1)
}

// A scene is a site on a bad day: what has happened to it, and what the page must say.
type scene struct {
	name  string
	site  string
	story func(*stage)
	says  []string
}

func scenes() []scene {
	return []scene{
		{"well", small, func(*stage) {}, []string{"All is well"}},
		{"everything at once", small, everything, []string{"1 VIP without a server: mail", "2 servers down: web1, web2", "router edge2 is out of sync", "17 left", "1 VIP pinned"}},
		{"all down", small, allDown, []string{"5 VIPs without a server", "4 servers down: web1, web2, web3, web4"}},
		{"frozen", strings.Replace(small, "correlated: act", "max_unavailable: 1", 1), frozen, []string{"Frozen: failures move nothing", "Resume…"}},
		{"back", small, back, []string{"Well, with notes", "1 VIP waiting to go back: 203.0.113.32/27"}},
		{"a large site", large(1000, 50), func(s *stage) { s.fall("web7", "connection refused") }, []string{"1 server down: web7", "20 VIPs failed over"}},
	}
}

// everything has a lost server, a drain with connections left, a pin, and a router
// that does otherwise.
func everything(s *stage) {
	vip := prefix("203.0.113.97/32")
	s.routers["edge1"].Keep(10 * time.Minute)
	s.routers["edge1"].Connect(vip, netip.MustParseAddr("192.0.2.14"), 17)
	s.fall("web1", "connection refused")
	s.must(s.control.Drain(s.t.Context(), api.DrainRequest{Servers: []string{"web4"}, Reason: "new disks", By: "ann", Force: true}))
	s.must(s.control.Pin(s.t.Context(), api.PinRequest{VIP: "203.0.113.64/27", Server: "web3", Reason: "a test", By: "bob"}))
	s.routers["edge2"].Cut()
	s.fall("web2", "timeout after 500ms")
}

// back has a server that was lost and is well again, and waits for its traffic.
func back(s *stage) {
	s.fall("web1", "connection refused")
	s.wait("it has moved", func(status *api.Status) bool { return status.VIPs[1].Cause == "failover" && status.VIPs[1].InSync })
	for range 8 { // it has flapped, and is not trusted at once
		s.rise("web1")
	}
}

func allDown(s *stage) {
	for _, server := range []topology.ServerName{"web1", "web2", "web3", "web4"} {
		s.fall(server, "connect: no route to host")
	}
}

func frozen(s *stage) {
	s.fall("web1", "connection refused")
	s.fall("web2", "connection refused")
	s.wait("it is frozen", func(status *api.Status) bool { return status.Frozen != "" })
}

func (s *stage) must(moved *api.Moved, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%+v: %v", moved, err)
	}
}

func TestAStartIsNoAlarm(t *testing.T) {
	s := startStage(t, small)
	b := visit(t, s.url, desktop)
	b.says("Finding out")
	b.says("4 servers not known yet")
	b.says("0 of 7 VIPs served")
	if class := eval[string](b, `document.body.dataset.verdict`); class != "start" {
		t.Errorf("it looks like %s", class)
	}
	b.ready()
	b.shoot("start")
	s.senses.tell()
	b.says("All is well")
}

func TestScenes(t *testing.T) {
	for _, scene := range scenes() {
		t.Run(scene.name, func(t *testing.T) {
			s := newStage(t, scene.site)
			scene.story(s)
			b := visit(t, s.url, desktop)
			for _, text := range scene.says {
				b.says(text)
			}
			b.shoot(scene.name)
			b.become(screen{width: 1440, height: 1000, dark: true})
			b.shoot(scene.name + "-dark")
			b.become(phone)
			b.fits()
			b.shoot(scene.name + "-phone")
		})
	}
}
