package scripts_test

import (
	"strings"
	"testing"
)

func TestTheSystemInChargeIsFound(t *testing.T) {
	t.Parallel()
	const enabled = "etc/systemd/system/multi-user.target.wants/"
	rhel := []string{"etc/sysconfig/network-scripts/ifup-aliases", "etc/sysconfig/network-scripts/ifcfg-lo", enabled + "NetworkManager.service", "usr/lib/systemd/systemd"}
	for name, c := range map[string]struct {
		files []string // a file's text may follow its name and a space
		says  string
	}{
		"RHEL 7, network service":     {append(rhel, "etc/rc.d/rc3.d/S10network", "usr/lib64/NetworkManager/1.18.8-2.el7/p.so"), "format ifcfg: the network-scripts service"},
		"RHEL 8, NetworkManager":      {append(rhel, "usr/lib64/NetworkManager/1.40.16-9.el8/p.so"), "format script: NetworkManager.service is enabled, but manages loopback only from version 1.42, and this is 1.40.16"},
		"RHEL 9.2":                    {append(rhel[2:], "usr/lib64/NetworkManager/1.42.2-1.el9/p.so"), "format nm: NetworkManager.service is enabled, version 1.42.2"},
		"a later one":                 {append(rhel[2:], "usr/lib64/NetworkManager/1.104.0-1/p.so"), "format nm: NetworkManager.service is enabled, version 1.104.0"},
		"SUSE with wicked":            {[]string{enabled + "wicked.service", "etc/sysconfig/network/ifcfg-lo"}, "format wicked"},
		"Debian":                      {[]string{"usr/sbin/ifup", "etc/network/interfaces source /etc/network/interfaces.d/*"}, "format ifupdown"},
		"interfaces that reads no .d": {[]string{"usr/sbin/ifup", "etc/network/interfaces auto lo", "lib/systemd/systemd"}, "format script: systemd, and no"},
		"Ubuntu server":               {[]string{"usr/sbin/netplan", "etc/netplan/50-cloud-init.yaml network:", enabled + "systemd-networkd.service"}, "format netplan"},
		"Ubuntu desktop":              {[]string{"usr/sbin/netplan", "etc/netplan/01.yaml network:\n  renderer: NetworkManager\n", "usr/lib/x86_64-linux-gnu/NetworkManager/1.46.0/p.so"}, "format nm: netplan has files in /etc/netplan, rendered by NetworkManager, version 1.46.0"},
		"networkd":                    {[]string{enabled + "systemd-networkd.service", "usr/lib/systemd/systemd"}, "format networkd"},
		"only systemd":                {[]string{"usr/lib/systemd/systemd"}, "format script"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, file := range c.files {
				path, text, _ := strings.Cut(file, " ")
				writeFile(t, root, path, text+"\n")
			}
			out, code := combined(t, "sh", "loopback-setup", "--root", root, "--vip", "10.1.1.1")
			if code != 0 || !strings.Contains(out, c.says) {
				t.Errorf("exit %d, want %q:\n%s", code, c.says, out)
			}
		})
	}
}
