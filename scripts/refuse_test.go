package scripts_test

import (
	"os/exec"
	"strings"
	"testing"
)

// combined runs a command and returns all that it printed, and its exit code.
func combined(t *testing.T, name string, args ...string) (string, int) {
	t.Helper()
	out, errs, code := run(t, exec.Command(name, args...))
	return out + errs, code
}

func stdout(t *testing.T, name string, args ...string) (string, int) {
	t.Helper()
	out, _, code := run(t, exec.Command(name, args...))
	return out, code
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ args, says string }{
		"no VIPs":              {"", "which VIPs?"},
		"an empty list":        {"--vips /dev/null --format script", "the list of VIPs is empty"},
		"no file":              {"--vips /nonexistent", "no such file"},
		"a mask":               {"--vip 10.1.1.1/27", "has a mask"},
		"a mask of 32":         {"--vip 10.1.1.1/32", "has a mask"},
		"a name":               {"--vip www", "not an IP address"},
		"a number too high":    {"--vip 10.1.1.256", "not an IP address"},
		"three numbers":        {"--vip 10.1.1", "not an IP address"},
		"five numbers":         {"--vip 10.1.1.1.1", "not an IP address"},
		"an octal":             {"--vip 10.1.1.010", "leading zero"},
		"a star":               {"--vip 10.1.1.*", "not an IP address"},
		"shell":                {"--vip 10.1.1.1;reboot", "not an IP address"},
		"nine groups":          {"--vip 1:2:3:4:5:6:7:8:9", "not an IP address"},
		"seven groups":         {"--vip 2001:2:3:4:5:6:7", "not an IP address"},
		"two gaps":             {"--vip 2001::1::2", "not an IP address"},
		"a gap for nothing":    {"--vip 2001:2:3:4::5:6:7:8", "not an IP address"},
		"a long group":         {"--vip 2001::12345", "not an IP address"},
		"a colon at the end":   {"--vip 2001:2:3:4:5:6:7:", "not an IP address"},
		"a zone":               {"--vip fe80::1%eth0", "not an IP address"},
		"mapped":               {"--vip ::ffff:10.1.1.1", "not an IP address"},
		"mapped, in hex":       {"--vip ::ffff:a01:101", "cannot be a VIP"},
		"loopback":             {"--vip 127.0.0.2", "cannot be a VIP"},
		"loopback, 6":          {"--vip ::1", "cannot be a VIP"},
		"link-local":           {"--vip fe80::1", "cannot be a VIP"},
		"link-local, 4":        {"--vip 169.254.1.1", "cannot be a VIP"},
		"multicast":            {"--vip 224.0.0.5", "cannot be a VIP"},
		"multicast, 6":         {"--vip ff02::1", "cannot be a VIP"},
		"zero":                 {"--vip 0.0.0.0", "cannot be a VIP"},
		"broadcast":            {"--vip 255.255.255.255", "cannot be a VIP"},
		"twice":                {"--vip 10.1.1.1 10.1.1.1", "given twice"},
		"twice, spelt anew":    {"--vip 2001:db8::1 2001:DB8:0::1", "given twice"},
		"a format":             {"--vip 10.1.1.1 --format rc.conf", "want auto, ifcfg"},
		"an option":            {"--vip 10.1.1.1 --force", "what is '--force'"},
		"remove and a list":    {"--remove --vip 10.1.1.1", "takes no VIPs"},
		"an unknown host":      {"--vip 10.1.1.1", "cannot tell this host's network system"},
		"an option cut off":    {"--vip 10.1.1.1 --format", "needs a value"},
		"all at once: two bad": {"--vip 10.1.1.1/8 10.2.2.2 x", "x is not an IP address"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			out, code := combined(t, "sh", append([]string{"loopback-setup", "--root", root}, strings.Fields(c.args)...)...)
			if code != 2 || !strings.Contains(out, c.says) {
				t.Errorf("exit %d, want 2 and %q:\n%s", code, c.says, out)
			}
			sameFiles(t, "afterwards", files(t, root), map[string]string{})
		})
	}
}

func TestForeignThingsInTheWayAreRefused(t *testing.T) {
	t.Parallel()
	begin := "# routesteer loopback-setup: begin; do not edit this block.\n"
	for name, c := range map[string]struct{ format, file, text, says string }{
		"a file of our name":      {"netplan", "etc/netplan/60-routesteer-vips.yaml", "network: {version: 2}\n", "not ours"},
		"an alias made by hand":   {"ifcfg", "etc/sysconfig/network-scripts/ifcfg-lo:1", "DEVICE=lo:1\nIPADDR=10.1.1.1\n", "ifcfg-lo:1 too"},
		"interfaces without more": {"ifupdown", "etc/network/interfaces", "auto lo\niface lo inet loopback\n", "add the line: source /etc/network/interfaces.d/*"},
		"half a line":             {"wicked", "etc/sysconfig/network/ifcfg-lo", "IPADDR=127.0.0.1/8", "does not end with a newline"},
		"half a block":            {"wicked", "etc/sysconfig/network/ifcfg-lo", begin + "IPADDR_rs0a010101=10.1.1.1/32\n", "lost its begin or end"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			writeFile(t, root, c.file, c.text)
			before := files(t, root)
			out, code := combined(t, "sh", "loopback-setup", "--root", root, "--format", c.format, "--vip", "10.1.1.1")
			if code != 2 || !strings.Contains(out, c.says) {
				t.Errorf("exit %d, want 2 and %q:\n%s", code, c.says, out)
			}
			sameFiles(t, "afterwards", files(t, root), before)
		})
	}
}

func TestAnAddressOfAnotherInterfaceIsRefused(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.must("ip", "link", "add", "eth7", "type", "veth", "peer", "name", "far")
	h.must("ip", "addr", "add", "10.1.1.1/24", "dev", "eth7")
	before := files(t, h.root)
	_, said, code := h.try("sh", "/loopback-setup", "--format", "script", "--vip", "10.1.1.2", "10.1.1.1")
	if code != 2 || !strings.Contains(said, "10.1.1.1 is an address of eth7") {
		t.Errorf("exit %d: %s", code, said)
	}
	h.must("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/lo/disable_ipv6")
	_, said, code = h.try("sh", "/loopback-setup", "--format", "script", "--vip", "2001:db8::1")
	if code != 2 || !strings.Contains(said, "IPv6 is off on loopback") {
		t.Errorf("exit %d: %s", code, said)
	}
	h.expect("afterwards", nil)
	sameFiles(t, "afterwards", files(t, h.root), before)
}

func TestCheckNamesEveryFault(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.install("networkd")
	check := func(want ...string) {
		t.Helper()
		out, stderr, code := h.try("sh", "/loopback-setup", "--check", "--format", "networkd", "--vip", "10.1.1.1", "2001:db8::1")
		if got := strings.TrimSpace(out); code != 1 || got != strings.Join(want, "\n") {
			t.Fatalf("exit %d, got\n%s%s\nwant\n%s", code, out, stderr, strings.Join(want, "\n"))
		}
	}
	check("missing: /etc/systemd/network/10-routesteer-lo.network", "missing: /etc/sysctl.d/60-routesteer.conf",
		"missing: 10.1.1.1/32 on lo", "missing: 2001:db8::1/128 on lo",
		"wrong: net.ipv4.conf.all.arp_announce is lower than 2", "wrong: net.ipv4.conf.all.arp_ignore is lower than 1")
	h.setup("--format", "networkd", "--vip", "10.1.1.1", "2001:db8::1")
	h.must("ip", "addr", "del", "10.1.1.1/32", "dev", "lo")
	check("missing: 10.1.1.1/32 on lo")
	h.must("ip", "addr", "add", "10.1.1.1/27", "dev", "lo")
	check("missing: 10.1.1.1/32 on lo", "wrong: 10.1.1.1/27 on lo: ip addr del 10.1.1.1/27 dev lo")
	if said := h.setup("--vip", "10.1.1.1", "2001:db8::1"); !strings.Contains(said, "ip addr del 10.1.1.1/27 dev lo") {
		t.Errorf("it said %q", said)
	}
	check("wrong: 10.1.1.1/27 on lo: ip addr del 10.1.1.1/27 dev lo")
	h.must("ip", "addr", "del", "10.1.1.1/27", "dev", "lo")
	h.setup("--check", "--vip", "10.1.1.1", "2001:db8::1")
	h.setup("--vip", "10.1.1.1", "2001:db8::1", "10.1.1.9")
	check("wrong: /etc/systemd/network/10-routesteer-lo.network", "extra: 10.1.1.9/32 on lo")
	h.setup("--vip", "10.1.1.1", "2001:db8::1", "--format", "script")
	check("missing: /etc/systemd/network/10-routesteer-lo.network", "extra: /usr/local/sbin/routesteer-loopback",
		"extra: /etc/systemd/system/routesteer-loopback.service", "extra: /etc/systemd/system/multi-user.target.wants/routesteer-loopback.service")
}

func TestAFullDiskChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.install("ifcfg")
	h.setup("--format", "ifcfg", "--vip", "10.1.1.1")
	h.must("mount", "-t", "tmpfs", "-o", "size=16k", "full", "/etc/sysctl.d")
	h.must("sh", "-c", "cat /dev/zero >/etc/sysctl.d/other 2>/dev/null || :")
	before := files(t, h.root)
	if _, said, code := h.try("sh", "/loopback-setup", "--vip", "10.1.1.2"); code != 1 || !strings.Contains(said, "cannot write") {
		t.Errorf("exit %d: %s", code, said)
	}
	after := files(t, h.root)
	for name := range after {
		if strings.Contains(name, "/.routesteer-loopback.") {
			delete(after, name) // under a name that nobody reads
		}
	}
	sameFiles(t, "afterwards", after, before)
	h.expect("afterwards", []string{"10.1.1.1"})
	h.must("umount", "/etc/sysctl.d")
	h.setup("--vip", "10.1.1.2")
	h.expect("with room", []string{"10.1.1.2"})
	h.setup("--check", "--vip", "10.1.1.2")
}
