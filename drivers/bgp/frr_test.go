package bgp

import (
	"testing"

	"github.com/routesteer/routesteer/drivers/drivertest"
	"github.com/routesteer/routesteer/internal/frr"
)

// frrConfig is the configuration of docs/bgp.md for FRR.
const frrConfig = `
router bgp 65001
 bgp router-id 192.0.2.1
 bgp graceful-restart preserve-fw-state
 neighbor 192.0.2.2 remote-as 65000
 neighbor 192.0.2.2 timers 3 9
 address-family ipv4 unicast
  neighbor 192.0.2.2 route-map NOTHING out
  neighbor 192.0.2.2 route-map VIPS in
  maximum-paths 16
 exit-address-family
 address-family ipv6 unicast
  neighbor 192.0.2.2 activate
  neighbor 192.0.2.2 route-map NOTHING out
  neighbor 192.0.2.2 route-map VIPS in
  maximum-paths 16
 exit-address-family
!
route-map NOTHING deny 10
route-map VIPS permit 10
`

// A frrouting is FRR's zebra and bgpd on a router.
type frrouting struct {
	*router
	*frr.Router
}

// startFRR starts FRR with the configuration.
func (r *router) startFRR(config string) *frrouting {
	r.t.Helper()
	daemons, err := frr.Start(r.kernel, frr.Options{
		Dir: r.dir, Daemons: []string{"bgpd"}, Config: "frr defaults traditional" + config,
		Unpacked: []string{"../../build/hosts/frr", "../../build/hosts/openssh-server"},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := daemons.Stop(); err != nil {
			r.t.Error(err)
		}
	})
	return &frrouting{r, daemons}
}

// show asks FRR.
func (f *frrouting) show(command string) string {
	f.t.Helper()
	out, err := f.Vtysh(command)
	if err != nil {
		f.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return out
}

func TestTheDriverPassesTheExamOnFRR(t *testing.T) {
	if elsewhere(t) {
		return
	}
	r := newRouter(t)
	r.startFRR(frrConfig)
	drivertest.Exam(t, newBench(t, r, true))
}

func TestSeveralNextHopsOnFRR(t *testing.T) {
	if elsewhere(t) {
		return
	}
	f := newRouter(t).startFRR(frrConfig)
	m := speak(t, site(nil), vip4, vip6)
	for _, n := range []int{2, 3, 1, 2} {
		hops4 := addrs("192.0.2.11", "192.0.2.12", "192.0.2.13")[:n]
		hops6 := addrs("2001:db8:1::11", "2001:db8:1::12", "2001:db8:1::13")[:n]
		m.send(only(vip4), hops4...)
		m.send(only(vip6), hops6...)
		f.routes(vip4, hops4...)
		f.routes(vip6, hops6...)
	}
}
