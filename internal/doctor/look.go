package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/topology"
)

// Look reads the machine, in the network namespace of the calling thread. usable
// says whether nftables can be used; it must change nothing.
func Look(site *topology.Site, usable func() error) (Snapshot, error) {
	s := Snapshot{Sysctls: map[string]string{}, Links: map[netip.Addr]string{}, Nftables: usable()}
	var err error
	if s.Rights, err = ownRights(); err != nil {
		return Snapshot{}, err
	}
	kernel, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return Snapshot{}, fmt.Errorf("open netlink: %w", err)
	}
	defer kernel.Close()
	s.findLinks(site, kernel)
	if err := s.readPrograms(site, kernel, os.DirFS("/")); err != nil {
		return Snapshot{}, err
	}
	keys := []string{forward4, forward6, compatMode, hashPolicy4, hashPolicy6, rpFilter("all")}
	for _, link := range s.Links {
		keys = append(keys, rpFilter(link))
	}
	for _, key := range keys {
		if err := s.read(key); err != nil {
			return Snapshot{}, err
		}
	}
	return s, nil
}

// readPrograms reads what others have made of the kernel, and who they are.
func (s *Snapshot) readPrograms(site *topology.Site, kernel *netlink.Handle, root fs.FS) error {
	if err := s.readRules(); err != nil {
		return err
	}
	if err := s.readRoutes(site, kernel); err != nil {
		return err
	}
	if err := s.readNetworkd(root); err != nil {
		return err
	}
	return s.readManaged(root, kernel)
}

// ownRights are those of this thread that matter.
func ownRights() ([]string, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return nil, fmt.Errorf("read this process's rights: %w", err)
	}
	var rights []string
	for _, right := range []struct {
		bit  uint
		name string
	}{{unix.CAP_NET_ADMIN, netAdmin}, {unix.CAP_NET_RAW, netRaw}} {
		if data[0].Effective&(1<<right.bit) != 0 {
			rights = append(rights, right.name)
		}
	}
	return rights, nil
}

// findLinks asks the kernel by which interface it reaches each server.
func (s *Snapshot) findLinks(site *topology.Site, kernel *netlink.Handle) {
	for _, server := range site.Servers {
		for _, address := range server.Addresses {
			routes, err := kernel.RouteGet(address.AsSlice())
			if err != nil || len(routes) != 1 {
				continue // not reached now, which is for checks to say
			}
			if link, err := kernel.LinkByIndex(routes[0].LinkIndex); err == nil {
				s.Links[address] = link.Attrs().Name
			}
		}
	}
}

// read reads a sysctl. One that the kernel does not have stays absent. A dot in an
// interface's name is a part of it.
func (s *Snapshot) read(key string) error {
	path := strings.ReplaceAll(key, ".", "/")
	if link, is := strings.CutPrefix(key, "net.ipv4.conf."); is {
		path = "net/ipv4/conf/" + strings.TrimSuffix(link, ".rp_filter") + "/rp_filter"
	}
	text, err := os.ReadFile("/proc/sys/" + path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read sysctl %s: %w", key, err)
	}
	s.Sysctls[key] = strings.TrimSpace(string(text))
	return nil
}
