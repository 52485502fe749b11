package doctor

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// readNetworkd finds out whether systemd-networkd runs in this network namespace,
// and what it is told to take away. root is the root directory.
func (s *Snapshot) readNetworkd(root fs.FS) error {
	running, err := runs(root, "systemd-network") // a kernel keeps 15 characters
	if err != nil || !running {
		return err
	}
	settings, err := networkdSettings(root)
	if err != nil {
		return err
	}
	takes := func(key string) bool {
		return !slices.Contains([]string{"no", "false", "off", "0", "n", "f"}, settings[key])
	}
	s.Networkd = Networkd{
		Running: true, TakesRoutes: takes("ManageForeignRoutes"), TakesRules: takes("ManageForeignRoutingPolicyRules"),
		TakesObjects: takes("ManageForeignRoutes") && takes("ManageForeignNextHops"),
	}
	return nil
}

// runs reports whether a program of that name runs in our network namespace.
func runs(root fs.FS, name string) (bool, error) {
	ours, err := fs.ReadLink(root, "proc/thread-self/ns/net")
	if err != nil {
		return false, fmt.Errorf("find this network namespace: %w", err)
	}
	comms, err := fs.Glob(root, "proc/[0-9]*/comm")
	if err != nil {
		return false, fmt.Errorf("list processes: %w", err)
	}
	return slices.ContainsFunc(comms, func(comm string) bool {
		text, err := fs.ReadFile(root, comm)
		if err != nil || strings.TrimSpace(string(text)) != name {
			return false // ended since, perhaps
		}
		theirs, err := fs.ReadLink(root, path.Join(path.Dir(comm), "ns/net"))
		return err == nil && theirs == ours
	}), nil
}

// networkdSettings reads the section Network of networkd.conf(5): the last file
// that says a thing counts, and of drop-ins with the same name that in /etc.
func networkdSettings(root fs.FS) (map[string]string, error) {
	settings := map[string]string{}
	places := []string{"usr/lib/systemd", "run/systemd", "etc/systemd"} // the least important first
	dropIns := map[string]string{}
	for _, place := range places {
		if err := readSettings(root, path.Join(place, "networkd.conf"), settings); err != nil {
			return nil, err
		}
		files, err := fs.Glob(root, path.Join(place, "networkd.conf.d/*.conf"))
		if err != nil {
			return nil, fmt.Errorf("list systemd-networkd's settings: %w", err)
		}
		for _, file := range files {
			dropIns[path.Base(file)] = file
		}
	}
	names := make([]string, 0, len(dropIns))
	for name := range dropIns {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := readSettings(root, dropIns[name], settings); err != nil {
			return nil, err
		}
	}
	return settings, nil
}

// readSettings adds what a file says under [Network]. One that is not there says
// nothing.
func readSettings(root fs.FS, file string, settings map[string]string) error {
	text, err := fs.ReadFile(root, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read systemd-networkd's settings: %w", err)
	}
	section := ""
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			section = line
		}
		if key, value, found := strings.Cut(line, "="); found && section == "[Network]" {
			settings[strings.TrimSpace(key)] = strings.ToLower(strings.TrimSpace(value))
		}
	}
	return lines.Err()
}

// readManaged finds the links by which servers are reached that NetworkManager
// manages. It writes a file for each device that it knows.
func (s *Snapshot) readManaged(root fs.FS, kernel *netlink.Handle) error {
	running, err := runs(root, "NetworkManager")
	if err != nil || !running {
		return err
	}
	s.Managed = map[string]bool{}
	for _, name := range s.Links {
		link, err := kernel.LinkByName(name)
		if err != nil {
			continue // it has gone since
		}
		text, err := fs.ReadFile(root, fmt.Sprintf("run/NetworkManager/devices/%d", link.Attrs().Index))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("ask NetworkManager about %s: %w", name, err)
		}
		s.Managed[name] = slices.Contains(strings.Split(string(text), "\n"), "managed=true")
	}
	return nil
}
