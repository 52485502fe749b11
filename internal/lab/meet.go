package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// meetTimeout bounds how long neighbours may take to find each other; a
// veth's carrier is there at once, so this is for a very busy machine.
const meetTimeout = 10 * time.Second

// meet makes all neighbours resolve each other, so that no packet of a
// measurement waits for ARP or neighbour discovery.
func (n *network) meet(site Site) error {
	err := errors.Join(n.client.meet(site.WAN.Addr()), n.router.meet(site.Client.Addr()))
	for _, server := range site.Servers {
		err = errors.Join(err, n.router.meet(server.Address), n.servers[server.Name].meet(site.LAN.Addr()))
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
	return fmt.Errorf("resolve %s from %s: no answer from that neighbour within %s", neighbour, h.Name, meetTimeout)
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
	entries, err := h.nl.NeighList(0, familyOf(neighbour).number())
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
