package scripts_test

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Two systems are not in Debian: network-scripts and wicked. What follows reads
// their files as they do, by their rules alone, found with the real programs.

// assignments reads NAME=VALUE lines as sh does; anything else is an error.
func assignments(text string) (map[string]string, error) {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		match := regexp.MustCompile(`^([A-Z][A-Za-z0-9_]*)=('[^']*'|[^'"\s;&|$]*)$`).FindStringSubmatch(line)
		if match == nil {
			return nil, fmt.Errorf("not an assignment: %q", line)
		}
		values[match[1]] = strings.Trim(match[2], "'")
	}
	return values, nil
}

// networkScripts returns the addresses that ifup lo would set from the alias
// files.
func networkScripts(files map[string]string) ([]string, error) {
	var all []string
	for name, text := range files {
		base := path.Base(name)
		if !strings.HasPrefix(base, "ifcfg-lo:") || regexp.MustCompile(`(~|\.bak|\.orig|\.rpmnew|\.rpmorig|\.rpmsave|\.old)$`).MatchString(base) {
			continue
		}
		values, err := assignments(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		address, err := alias(strings.TrimPrefix(base, "ifcfg-"), values)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, address)
	}
	slices.Sort(all)
	return all, nil
}

// alias is one alias file's address. Without both NETMASK and PREFIX, the
// parent's would win.
func alias(name string, values map[string]string) (string, error) {
	switch {
	case values["DEVICE"] != name:
		return "", fmt.Errorf("DEVICE=%s is not its name", values["DEVICE"])
	case !regexp.MustCompile(`^lo:[0-9A-Za-z_]+$`).MatchString(name) || len(name) > 15:
		return "", fmt.Errorf("bad alias name %s", name)
	case values["ONPARENT"] == "no":
		return "", fmt.Errorf("it stays down")
	case values["IPV6ADDR"] != "" && values["IPV6INIT"] == "yes" && values["IPADDR"] == "":
		return values["IPV6ADDR"], nil
	case values["NETMASK"] != "255.255.255.255" || values["PREFIX"] != "32":
		return "", fmt.Errorf("inherits a mask")
	}
	return values["IPADDR"] + "/32", nil
}

// wicked returns the addresses of ifcfg-lo beside 127.0.0.1.
func wicked(text string) ([]string, error) {
	values, err := assignments(text)
	if err != nil {
		return nil, err
	}
	if values["STARTMODE"] != "nfsroot" || values["BOOTPROTO"] != "static" || values["IPADDR"] != "127.0.0.1/8" {
		return nil, fmt.Errorf("SUSE's own lines are missing: %v", values)
	}
	var all []string
	for name, value := range values {
		if suffix, is := strings.CutPrefix(name, "IPADDR_"); is && regexp.MustCompile(`^[A-Za-z0-9_]+$`).MatchString(suffix) {
			all = append(all, value)
		}
	}
	slices.Sort(all)
	return all, nil
}

func TestNetworkScriptsAndWickedFindTheVIPs(t *testing.T) {
	t.Parallel()
	for _, system := range []string{"ifcfg", "wicked"} {
		for _, stock := range []bool{true, false} {
			root := t.TempDir()
			if stock {
				for name, text := range formats[system] {
					writeFile(t, root, name, text)
				}
			}
			for _, vips := range stories {
				args := append([]string{"loopback-setup", "--root", root, "--format", system}, list(vips)...)
				if out, code := combined(t, "sh", args...); code != 0 {
					t.Fatal(out)
				}
				checkRules(t, system, stock, files(t, root), vips)
			}
			if out, code := combined(t, "sh", "loopback-setup", "--root", root, "--remove"); code != 0 {
				t.Fatal(out)
			}
			if left := files(t, root); !stock && len(left) > 0 {
				t.Errorf("%s: removed, it left %v", system, left)
			}
		}
	}
}

func checkRules(t *testing.T, system string, stock bool, all map[string]string, vips []string) {
	t.Helper()
	for name, text := range all {
		_, all[name], _ = strings.Cut(text, "\n") // the mode
	}
	var got []string
	var err error
	if system == "wicked" {
		got, err = wicked(all["etc/sysconfig/network/ifcfg-lo"])
	} else {
		got, err = networkScripts(all)
	}
	want := full(vips)
	if stock && system == "ifcfg" { // the alias that somebody made
		want = append(want, "198.51.100.9/32")
		slices.Sort(want)
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%s: got %v %v, want %v", system, got, err, want)
	}
}
