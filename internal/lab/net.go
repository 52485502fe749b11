package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/internal/netns"
)

// Names of network devices, as they are seen inside the namespaces.
const (
	wanPort    = "wan"  // router's, to the client
	lanPort    = "lan"  // router's, to the switch
	nic        = "eth0" // the only one of client and servers
	bridgeName = "br0"  // the switch
)

// A host is one namespace with a netlink handle in it.
type host struct {
	*netns.Namespace
	nl *netlink.Handle
}

func newHost(name string) (*host, error) {
	ns, err := netns.New(name)
	if err != nil {
		return nil, err
	}
	nl, err := ns.Handle()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open netlink in namespace %s: %w", name, err), ns.Close())
	}
	return &host{Namespace: ns, nl: nl}, nil
}

func (h *host) close() error {
	h.nl.Close()
	return h.Namespace.Close()
}

// A network is the site's namespaces, wired and addressed.
type network struct {
	client, router *host
	lan            *host // the switch; nil with Direct links
	servers        map[string]*host
	all            []*host
}

// buildNetwork makes the site's network. It closes what it made if it fails.
func buildNetwork(site Site) (*network, error) {
	n := &network{servers: map[string]*host{}}
	if err := n.build(site); err != nil {
		return nil, errors.Join(fmt.Errorf("build the lab's network: %w", err), n.close())
	}
	return n, nil
}

func (n *network) build(site Site) error {
	var err error
	if n.client, err = n.host("client", site); err != nil {
		return err
	}
	if n.router, err = n.host("router", site); err != nil {
		return err
	}
	if err := n.wireClient(site); err != nil {
		return err
	}
	if site.Links == Switched {
		if err := n.wireSwitch(site); err != nil {
			return err
		}
	}
	for _, server := range site.Servers {
		if err := n.addServer(server, site); err != nil {
			return fmt.Errorf("%s: %w", server.Name, err)
		}
	}
	return n.meet(site)
}

func (n *network) host(name string, site Site) (*host, error) {
	h, err := newHost(name)
	if err != nil {
		return nil, err
	}
	n.all = append(n.all, h)
	if site.Family == IPv6 {
		return h, h.prepareIPv6()
	}
	return h, nil
}

func (n *network) wireClient(site Site) error {
	return errors.Join(
		n.router.forward(site.Family),
		// Thousands of connections a second come from one address.
		n.client.sysctl("net.ipv4.ip_local_port_range", "1024 65535"),
		connect(n.router, wanPort, n.client, nic),
		n.router.address(wanPort, site.WAN),
		n.client.address(nic, site.Client),
		n.client.defaultRoute(site.WAN.Addr()),
	)
}

// wireSwitch puts a bridge in a namespace of its own, so that no link of the
// router goes down when a server's does.
func (n *network) wireSwitch(site Site) error {
	var err error
	if n.lan, err = n.host("switch", site); err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = bridgeName
	if err := n.lan.nl.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		return fmt.Errorf("make the switch, a bridge: %w; the kernel needs CONFIG_BRIDGE (modprobe bridge)", err)
	}
	return errors.Join(n.lan.up(bridgeName), n.wireRouter(site))
}

// wireRouter lays the cable between the router and the switch.
func (n *network) wireRouter(site Site) error {
	return errors.Join(
		connect(n.router, lanPort, n.lan, "router"),
		n.lan.plug("router"),
		n.router.address(lanPort, site.LAN),
	)
}

func (n *network) addServer(server Server, site Site) error {
	h, err := n.host(server.Name, site)
	if err != nil {
		return err
	}
	n.servers[server.Name] = h
	// A server answers ARP for its own address only, never for a VIP. In IPv6
	// that goes without saying.
	err = errors.Join(
		h.sysctl("net.ipv4.conf.all.arp_ignore", "1"),
		h.sysctl("net.ipv4.conf.all.arp_announce", "2"),
	)
	if site.Links == Direct {
		err = errors.Join(err, connect(n.router, server.Name, h, nic), n.router.pointToPoint(server.Name, site.LAN.Addr(), server.Address))
	} else {
		err = errors.Join(err, connect(n.lan, server.Name, h, nic), n.lan.plug(server.Name))
	}
	err = errors.Join(err, h.settle(server, site))
	if err != nil {
		return err
	}
	return h.carryAll(site)
}

// settle gives a server its address and its way out.
func (h *host) settle(server Server, site Site) error {
	return errors.Join(
		h.address(nic, netip.PrefixFrom(server.Address, site.LAN.Bits())),
		h.defaultRoute(site.LAN.Addr()),
		h.awaitLocal(server.Address),
	)
}

// close ends all namespaces and the processes in them.
func (n *network) close() error {
	var err error
	for _, h := range n.all {
		err = errors.Join(err, h.close())
	}
	n.all = nil
	return err
}

// connect lays a cable between two hosts.
func connect(a *host, portA string, b *host, portB string) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = portA
	cable := &netlink.Veth{LinkAttrs: attrs, PeerName: portB, PeerNamespace: netlink.NsFd(b.Fd())}
	if err := a.nl.LinkAdd(cable); err != nil {
		return fmt.Errorf("connect %s to %s: %w; the kernel needs CONFIG_VETH (modprobe veth)", a.Name, b.Name, err)
	}
	return errors.Join(a.up(portA), b.up(portB))
}

func (h *host) link(name string) (netlink.Link, error) {
	link, err := h.nl.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find device %s of %s: %w", name, h.Name, err)
	}
	return link, nil
}

func (h *host) up(name string) error {
	link, err := h.link(name)
	if err != nil {
		return err
	}
	if err := h.nl.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s of %s up: %w", name, h.Name, err)
	}
	return nil
}

func (h *host) down(name string) error {
	link, err := h.link(name)
	if err != nil {
		return err
	}
	if err := h.nl.LinkSetDown(link); err != nil {
		return fmt.Errorf("set %s of %s down: %w", name, h.Name, err)
	}
	return nil
}

// plug makes the device a port of the switch.
func (h *host) plug(name string) error {
	port, err := h.link(name)
	if err != nil {
		return err
	}
	bridge, err := h.link(bridgeName)
	if err != nil {
		return err
	}
	if err := h.nl.LinkSetMaster(port, bridge); err != nil {
		return fmt.Errorf("plug %s into the switch: %w", name, err)
	}
	return nil
}

// address gives the device an address on a link with the prefix's length.
func (h *host) address(device string, address netip.Prefix) error {
	return h.addressOn(device, &netlink.Addr{IPNet: ipNet(address)})
}

// pointToPoint makes the device a port to one neighbour: the router has the
// same address on every such port, and one host route through each.
func (h *host) pointToPoint(device string, own, peer netip.Addr) error {
	return h.addressOn(device, &netlink.Addr{IPNet: single(own), Peer: single(peer)})
}

func (h *host) addressOn(device string, address *netlink.Addr) error {
	link, err := h.link(device)
	if err != nil {
		return err
	}
	if err := h.nl.AddrReplace(link, address); err != nil {
		return fmt.Errorf("add address %s to %s of %s: %w", address, device, h.Name, err)
	}
	return nil
}

// carryAll puts the VIPs' addresses on loopback and returns when packets to
// them are taken.
func (h *host) carryAll(site Site) error {
	for _, vip := range site.VIPs {
		if err := h.addressOn("lo", &netlink.Addr{IPNet: single(vip.Address)}); err != nil {
			return err
		}
	}
	for _, vip := range site.VIPs {
		if err := h.awaitLocal(vip.Address); err != nil {
			return err
		}
	}
	return nil
}

// awaitLocal waits until the kernel takes packets to an address of the host.
// In IPv6 it finishes a new address in its own time, which a busy machine may
// not have at once; a packet that comes before is lost.
func (h *host) awaitLocal(address netip.Addr) error {
	ctx, cancel := context.WithTimeout(context.Background(), meetTimeout)
	defer cancel()
	return poll(ctx, time.Millisecond, fmt.Sprintf("address %s of %s", address, h.Name), func() (bool, error) {
		routes, err := h.nl.RouteGet(address.AsSlice())
		if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) {
			return false, nil
		}
		return len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL, err
	})
}

// drop takes a VIP's address off loopback.
func (h *host) drop(vip netip.Addr) error {
	lo, err := h.link("lo")
	if err != nil {
		return err
	}
	if err := h.nl.AddrDel(lo, &netlink.Addr{IPNet: single(vip)}); err != nil {
		return fmt.Errorf("remove address %s from loopback of %s: %w", vip, h.Name, err)
	}
	return nil
}

func (h *host) defaultRoute(via netip.Addr) error {
	return h.route(familyOf(via).everywhere(), via)
}

// route makes packets for prefix go to via, in one step if there is a route
// already.
func (h *host) route(prefix netip.Prefix, via netip.Addr) error {
	if err := h.nl.RouteReplace(&netlink.Route{Dst: ipNet(prefix), Gw: via.AsSlice()}); err != nil {
		return fmt.Errorf("route %s of %s via %s: %w", prefix, h.Name, via, err)
	}
	return nil
}

func single(address netip.Addr) *net.IPNet {
	return ipNet(netip.PrefixFrom(address, address.BitLen()))
}

// ipNet returns the prefix, with its host's bits, as package netlink takes it.
func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
