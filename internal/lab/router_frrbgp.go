package lab

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/internal/frr"
)

// A frrBGPRouter is FRR's bgpd, which is told its routes by BGP. The controller is
// on the same machine, so that it checks servers on any links. bgpd takes no
// neighbour on loopback, nor one of its own addresses: so the session is on the
// client's link, where the controller's end is an address of no interface.
type frrBGPRouter struct {
	unpacked []string
	host     *host
	frr      *frr.Router
}

// The ends of the session, of the range for benchmarks, in which there are no
// VIPs as high.
const (
	bgpdEnd    = "198.19.0.1/30"
	speakerEnd = "198.19.0.2"
)

func (r *frrBGPRouter) start(h *host, dir string) error {
	r.host = h
	if err := h.address(wanPort, netip.MustParsePrefix(bgpdEnd)); err != nil {
		return err
	}
	if err := h.own(netip.MustParseAddr(speakerEnd)); err != nil {
		return err
	}
	var err error
	r.frr, err = frr.Start(h.Namespace, frr.Options{Dir: dir, Daemons: []string{"bgpd"}, Config: frrBGPConfig, Unpacked: r.unpacked})
	if err != nil {
		return err
	}
	return h.awaitBGP(netip.MustParsePrefix(bgpdEnd).Addr(), "bgpd", func() error { return nil })
}

// own makes the address one of the host's, though no interface has it.
func (h *host) own(address netip.Addr) error {
	lo, err := h.link("lo")
	if err != nil {
		return err
	}
	local := &netlink.Route{Dst: single(address), LinkIndex: lo.Attrs().Index, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST}
	if err := h.nl.RouteReplace(local); err != nil {
		return fmt.Errorf("make %s an address of %s: %w", address, h.Name, err)
	}
	return nil
}

func (*frrBGPRouter) config(Profile) string {
	return fmt.Sprintf("{bgp: {asn: 65000, router_id: 192.0.2.2, peers: [{address: %s, asn: 65001, source: %s, hold_time: 9s}]}}",
		netip.MustParsePrefix(bgpdEnd).Addr(), speakerEnd)
}

// route is for labs without a controller, where FRR is told nothing.
func (r *frrBGPRouter) route(_ context.Context, prefix netip.Prefix, via netip.Addr) error {
	return r.host.route(prefix, via)
}

func (*frrBGPRouter) cuts() string { return bgpCuts }

// frrBGPConfig is that of docs/bgp.md, for this session.
const frrBGPConfig = `frr defaults traditional
router bgp 65001
 bgp router-id 192.0.2.1
 bgp graceful-restart preserve-fw-state
 neighbor 198.19.0.2 remote-as 65000
 neighbor 198.19.0.2 passive
 neighbor 198.19.0.2 timers 3 9
 address-family ipv4 unicast
  neighbor 198.19.0.2 route-map NOTHING out
  neighbor 198.19.0.2 route-map VIPS in
  maximum-paths 16
 exit-address-family
 address-family ipv6 unicast
  neighbor 198.19.0.2 activate
  neighbor 198.19.0.2 route-map NOTHING out
  neighbor 198.19.0.2 route-map VIPS in
  maximum-paths 16
 exit-address-family
!
route-map NOTHING deny 10
route-map VIPS permit 10
`

func (r *frrBGPRouter) stop() error {
	if r.frr == nil {
		return nil
	}
	return r.frr.Stop()
}
