package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// forward makes the host a router.
func (h *host) forward(family Family) error {
	if family == IPv6 {
		return h.sysctl("net.ipv6.conf.all.forwarding", "1")
	}
	return errors.Join(
		h.sysctl("net.ipv4.ip_forward", "1"),
		// Paths are asymmetric while a VIP moves: the reverse-path filter has no say.
		h.sysctl("net.ipv4.conf.all.rp_filter", "0"),
		h.sysctl("net.ipv4.conf.default.rp_filter", "0"),
		// A redirect would teach servers a way around the router.
		h.sysctl("net.ipv4.conf.all.send_redirects", "0"),
		h.sysctl("net.ipv4.conf.default.send_redirects", "0"),
	)
}

// prepareIPv6 sets what must be set before the host has devices.
func (h *host) prepareIPv6() error {
	if _, err := os.Stat("/proc/sys/net/ipv6"); err != nil {
		return errors.New("this kernel has no IPv6 (is ipv6.disable=1 on its command line?): build the lab without --ipv6")
	}
	var err error
	for _, setting := range []struct{ key, value string }{
		{"disable_ipv6", "0"}, // some distributions ship it as 1
		// Addresses work at once, without a second's search for a twin of theirs.
		{"accept_dad", "0"},
		{"accept_ra", "0"},
		{"router_solicitations", "0"},
		{"accept_redirects", "0"},
	} {
		// The kernel takes "default" for new devices, and "all" also counts.
		for _, scope := range []string{"all", "default"} {
			err = errors.Join(err, h.sysctl("net.ipv6.conf."+scope+"."+setting.key, setting.value))
		}
	}
	return err
}

// sysctl sets a kernel parameter of the host's namespace.
func (h *host) sysctl(key, value string) error {
	file := filepath.Join("/proc/sys", strings.ReplaceAll(key, ".", "/"))
	return h.Do(func() error {
		if err := os.WriteFile(file, []byte(value), 0o644); err != nil {
			return fmt.Errorf("set %s=%s: %w; /proc/sys must be writable (in a container: run it privileged)", key, value, err)
		}
		return nil
	})
}
