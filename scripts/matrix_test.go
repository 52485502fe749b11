package scripts_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/scripts"
)

// formats are all that the script can write, with what such a host has before
// in the directories that it writes to: what is somebody else's, and must stay.
var formats = map[string]map[string]string{
	"ifcfg": {
		"etc/sysconfig/network-scripts/ifcfg-lo":      "DEVICE=lo\nIPADDR=127.0.0.1\nNETMASK=255.0.0.0\nONBOOT=yes\n",
		"etc/sysconfig/network-scripts/ifcfg-eth0":    "DEVICE=eth0\nBOOTPROTO=dhcp\n",
		"etc/sysconfig/network-scripts/ifcfg-lo:9":    "DEVICE=lo:9\nIPADDR=198.51.100.9\nNETMASK=255.255.255.255\nPREFIX=32\n",
		"etc/sysconfig/network-scripts/ifup-aliases":  "",
		"etc/sysconfig/network-scripts/ifcfg-lo:old~": "IPADDR=10.1.1.1\n",
	},
	"nm":       {"etc/NetworkManager/system-connections/wire.nmconnection": "[connection]\nid=wire\ntype=ethernet\n"},
	"netplan":  {"etc/netplan/01-netcfg.yaml": "network:\n  version: 2\n  ethernets:\n    eth7: {dhcp4: true}\n"},
	"networkd": {"etc/systemd/network/20-wire.network": "[Match]\nName=eth7\n[Network]\nDHCP=yes\n"},
	"ifupdown": {
		"etc/network/interfaces":         "source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n",
		"etc/network/interfaces.d/other": "# routesteer-vips is not ours\n",
	},
	"wicked": {
		"etc/sysconfig/network/ifcfg-lo":   suseLoopback,
		"etc/sysconfig/network/ifcfg-eth0": "BOOTPROTO='dhcp'\n",
	},
	"script": {"usr/local/sbin/other": "#!/bin/sh\n"},
}

// suseLoopback is what SUSE ships.
const suseLoopback = `# Loopback (lo) configuration
IPADDR=127.0.0.1/8
NETMASK=255.0.0.0
NETWORK=127.0.0.0
STARTMODE=nfsroot
BOOTPROTO=static
USERCONTROL=no
FIREWALL=no
`

func (h *host) install(format string) {
	h.t.Helper()
	for name, text := range formats[format] {
		h.write(name, text)
	}
}

// stories are lists of VIPs one after the other: add, change, remove.
var stories = [][]string{
	{"10.1.1.1", "2001:db8:1::1"},
	{"10.1.1.1", "10.1.1.2", "10.1.1.3", "2001:db8:1::1", "2001:db8:1::2", "2001:db8:2::ffff:1"},
	{"10.1.1.2", "10.9.9.9", "2001:db8:1::2", "2001:db8:0:1::1"},
	{"2001:db8:1::2"},
	{"10.1.1.7"},
}

func list(vips []string) []string { return append([]string{"--vip"}, vips...) }

func TestTheKernelEqualsTheListInEveryFormat(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.must("ip", "addr", "add", "198.51.100.200/32", "dev", "lo") // somebody's
	foreign := []string{"198.51.100.200"}
	for format := range formats {
		h.install(format)
		before := files(t, h.root)
		for _, vips := range stories {
			h.setup(append(list(vips), "--format", format)...)
			h.expect(format, append(foreign, vips...))
			after := files(t, h.root)
			if said := h.setup(list(vips)...); !strings.Contains(said, "nothing to change") {
				t.Errorf("%s: run again, it said %q", format, said)
			}
			sameFiles(t, format+", run again", files(t, h.root), after)
			h.expect(format+", run again", append(foreign, vips...))
			h.setup(append(list(vips), "--check")...)
		}
		h.setup("--remove")
		if said := h.setup("--remove"); !strings.Contains(said, "nothing to change") {
			t.Errorf("%s: removed again, it said %q", format, said)
		}
		h.expect(format+", removed", foreign)
		sameFiles(t, format+", removed", files(t, h.root), before)
	}
}

func TestAHostChangesFromOneFormatToTheNext(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for format := range formats {
		h.install(format)
	}
	vips := stories[1]
	before := files(t, h.root)
	for format := range formats {
		h.setup(append(list(vips), "--format", format)...)
		h.expect(format, vips)
		h.setup(append(list(vips), "--format", format, "--check")...)
	}
	h.setup("--remove")
	sameFiles(t, "in the end", files(t, h.root), before)
}

func TestEveryShellWritesTheSame(t *testing.T) {
	t.Parallel()
	shells := map[string][]string{"dash": {"dash"}, "bash": {"bash", "--posix"}, "busybox": {"busybox", "sh"}}
	vips := []string{"10.1.1.1", "192.0.2.255", "2001:DB8:0:0:1:0:0:1", "2001:db8::", "2001:db8:a:b:c:d:0:0"}
	for format := range formats {
		var first map[string]string
		for name, shell := range shells {
			root := t.TempDir()
			for _, action := range []string{"--root=" + root, "--check"} {
				args := append(shell[1:], "loopback-setup", "--root", root, "--format", format, action)
				if out, code := combined(t, shell[0], append(args, list(vips)...)...); code != 0 {
					t.Fatalf("%s %s: exit %d\n%s", name, format, code, out)
				}
			}
			got := files(t, root)
			if first == nil {
				first = got
			}
			sameFiles(t, name+" "+format, got, first)
		}
	}
}

func TestAddressesAreWrittenAsTheKernelDoes(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	spelt := []string{"2001:DB8:0:0:1:0:0:1", "2001:db8::0", "2001:0db8:a:b:c:d:0:0", "2001:db8:0:1:1:1:1:1", "::2:0:0:0:0"}
	if out, code := combined(t, "sh", append([]string{"loopback-setup", "--root", root, "--format", "networkd"}, list(spelt[:4])...)...); code != 0 {
		t.Fatal(out)
	}
	got := files(t, root)["etc/systemd/network/10-routesteer-lo.network"]
	for _, want := range []string{"2001:db8::1:0:0:1/128", "2001:db8::/128", "2001:db8:a:b:c:d::/128", "2001:db8:0:1:1:1:1:1/128"} {
		if !strings.Contains(got, "Address="+want+"\n") {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

func TestBakedAddressesAreUsedUntilOthersAreGiven(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write("loopback-setup", scripts.LoopbackSetup("script", netip.MustParseAddr("10.1.1.1"), netip.MustParseAddr("10.1.1.2")))
	cmd := h.command("sh")
	cmd.Stdin = strings.NewReader(h.read("loopback-setup")) // as ssh web1 sudo sh
	if out, stderr, code := run(t, cmd); code != 0 {
		t.Fatal(out, stderr)
	}
	h.expect("baked", []string{"10.1.1.1", "10.1.1.2"})
	h.setup("--vip", "10.1.1.3")
	h.expect("given", []string{"10.1.1.3"})
	h.setup("--remove")
	h.expect("removed", nil)
}

func TestAListIsReadFromAFile(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	writeFile(t, root, "list", "# the shop\n10.1.1.1 10.1.1.2 # two\r\n\n\t2001:db8::1")
	if out, code := combined(t, "sh", "loopback-setup", "--root", root, "--format", "networkd", "--vips", root+"/list"); code != 0 {
		t.Fatal(out)
	}
	got := files(t, root)["etc/systemd/network/10-routesteer-lo.network"]
	if want := "Address=10.1.1.1/32\nAddress=10.1.1.2/32\nAddress=2001:db8::1/128\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s", got)
	}
}

// TestADryRunIsAPatch applies the diff to a copy and compares it with what the
// script itself makes.
func TestADryRunIsAPatch(t *testing.T) {
	t.Parallel()
	for format := range formats {
		roots := []string{t.TempDir(), t.TempDir()}
		for _, root := range roots {
			for name, text := range formats[format] {
				writeFile(t, root, name, text)
			}
		}
		for _, change := range [][]string{list(stories[0]), list(stories[1]), list(stories[2]), {"--remove"}} {
			args := append([]string{"loopback-setup", "--format", format, "--root"}, roots[0])
			diff, code := stdout(t, "sh", append(append(args, "--dry-run"), change...)...)
			if code != 0 || !strings.Contains(diff, "\n@@ ") {
				t.Fatalf("%s: exit %d\n%s", format, code, diff)
			}
			writeFile(t, roots[1], "patch", diff)
			if out, code := combined(t, "patch", "-s", "-E", "-p1", "-d", roots[1], "-i", "patch"); code != 0 {
				t.Fatalf("%s: %s\n%s", format, out, diff)
			}
			if out, code := combined(t, "sh", append(args, change...)...); code != 0 {
				t.Fatal(out)
			}
			sameFiles(t, format, contents(files(t, roots[1])), contents(files(t, roots[0])))
		}
	}
}

// contents leaves out what a diff cannot say: modes and symbolic links.
func contents(all map[string]string) map[string]string {
	for name, text := range all {
		if strings.HasPrefix(text, "link to ") {
			delete(all, name)
			continue
		}
		_, all[name], _ = strings.Cut(text, "\n")
	}
	return all
}

func TestWhoMayReadWhat(t *testing.T) {
	t.Parallel()
	modes := map[string]os.FileMode{
		"etc/NetworkManager/system-connections/routesteer-lo.nmconnection": 0o600,
		"etc/netplan/60-routesteer-vips.yaml":                              0o600,
		"etc/systemd/network/10-routesteer-lo.network":                     0o644,
		"usr/local/sbin/routesteer-loopback":                               0o755,
		"etc/sysctl.d/60-routesteer.conf":                                  0o644,
	}
	for _, format := range []string{"nm", "netplan", "networkd", "script"} {
		root := t.TempDir()
		args := append([]string{"loopback-setup", "--root", root, "--format", format}, list(stories[0])...)
		if out, code := combined(t, "sh", args...); code != 0 {
			t.Fatal(out)
		}
		for name, text := range files(t, root) {
			if want, known := modes[name]; known && !strings.HasPrefix(text, want.String()+"\n") {
				t.Errorf("%s is %s, want %s", name, strings.SplitN(text, "\n", 2)[0], want)
			}
			if err := os.Chmod(filepath.Join(root, name), 0o666); modes[name] != 0 && err != nil {
				t.Fatal(err)
			}
		}
		if out, code := combined(t, "sh", append(args, "--check")...); code != 1 || !strings.Contains(out, "wrong: /etc/") {
			t.Errorf("%s: a wrong mode gave exit %d: %s", format, code, out)
		}
	}
}
