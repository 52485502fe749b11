package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// meetTimeout bounds how long neighbours may take to find each other; a
// veth's carrier is there at once, so this is for a very busy machine.
const meetTimeout = 10 * time.Second

// meet makes all neighbours resolve each other, so that no packet of a
// measurement waits for ARP.
func (n *network) meet(site Site) error {
	wan, client := netip.MustParseAddr(wanAddress), netip.MustParseAddr(clientAddress)
	lan := netip.MustParseAddr(lanAddress)
	err := errors.Join(n.client.meet(wan), n.router.meet(client))
	for _, server := range site.Servers {
		err = errors.Join(err, n.router.meet(server.Address), n.servers[server.Name].meet(lan))
	}
	return err
}

// meet resolves one neighbour.
func (h *host) meet(neighbour netip.Addr) error {
	deadline := time.Now().Add(meetTimeout)
	for time.Now().Before(deadline) {
		if err := h.knock(neighbour); err != nil {
			return fmt.Errorf("resolve %s from %s: %w", neighbour, h.Name, err)
		}
		known, err := h.waitNeighbour(neighbour)
		if err != nil || known {
			return err
		}
	}
	return fmt.Errorf("resolve %s from %s: no answer to ARP within %s", neighbour, h.Name, meetTimeout)
}

// knock sends one packet that nobody answers to the neighbour's discard port.
func (h *host) knock(neighbour netip.Addr) error {
	return h.Do(func() error {
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(neighbour, 9)))
		if err != nil {
			return err
		}
		_, err = conn.Write([]byte{0})
		return errors.Join(err, conn.Close())
	})
}

// waitNeighbour looks a few times whether the kernel knows the neighbour now.
func (h *host) waitNeighbour(neighbour netip.Addr) (bool, error) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range 50 {
		known, err := h.knows(neighbour)
		if err != nil || known {
			return known, err
		}
		<-tick.C
	}
	return false, nil
}

// knows reports whether the kernel has an Ethernet address for the neighbour.
func (h *host) knows(neighbour netip.Addr) (bool, error) {
	entries, err := h.nl.NeighList(0, netlink.FAMILY_V4)
	if err != nil {
		return false, fmt.Errorf("list neighbours of %s: %w", h.Name, err)
	}
	const valid = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE | unix.NUD_PERMANENT
	for _, entry := range entries {
		address, ok := netip.AddrFromSlice(entry.IP)
		if ok && address.Unmap() == neighbour && entry.State&valid != 0 {
			return true, nil
		}
	}
	return false, nil
}
