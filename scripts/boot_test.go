package scripts_test

import (
	"bufio"
	"os/exec"
	"strings"
	"testing"
)

// daemon starts a program that runs until the host ends. If ready is not
// empty, it waits until the program prints it.
func (h *host) daemon(ready string, args ...string) *exec.Cmd {
	h.t.Helper()
	cmd := h.command(args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	said := make(chan string, 1)
	wait := ready != ""
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if ready != "" && strings.Contains(lines.Text(), ready) {
				said <- lines.Text()
				ready = ""
			}
			if strings.Contains(lines.Text(), "ignoring") { // networkd's word for a bad line
				h.t.Errorf("%s: %s", args[0], lines.Text())
			}
		}
		close(said)
	}()
	h.t.Cleanup(func() {
		_ = cmd.Process.Kill() // nsenter; what it started ends with the host
		h.must("sh", "-c", `kill $(pidof "$1") || :`, "sh", args[0])
		<-ended
		_ = cmd.Wait() // it was killed
	})
	if wait {
		if _, ok := <-said; !ok {
			h.t.Fatalf("%s ended", args[0])
		}
	}
	return cmd
}

// reboot forgets what a reboot forgets.
func (h *host) reboot() {
	h.t.Helper()
	h.must("ip", "addr", "flush", "dev", "lo", "scope", "global")
	h.must("sh", "-c", "rm -rf /run/*; mkdir -p /run/network")
	h.expect("before boot", nil)
}

// ifupdownHost is as the package is installed.
func ifupdownHost(t *testing.T, program string) *host {
	t.Helper()
	h := newHost(t, program)
	h.install("ifupdown")
	switch program {
	case "ifupdown-ng": // its source takes no pattern
		h.write("etc/network/interfaces", "source-directory /etc/network/interfaces.d\n\nauto lo\niface lo inet loopback\n")
	case "ifupdown2":
		h.must("chmod", "755", "/usr/share/ifupdown2/__main__.py")
	}
	h.must("mkdir", "-p", "/run/network")
	return h
}

func TestIfupdownBringsTheVIPsUp(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"ifupdown", "ifupdown-ng", "ifupdown2"} {
		t.Run(program, func(t *testing.T) {
			h := ifupdownHost(t, program)
			if said := h.setup(list(stories[0])...); !strings.Contains(said, "format ifupdown") {
				t.Errorf("the format is not recognised: %s", said)
			}
			for _, vips := range stories {
				h.setup(list(vips)...)
				h.expect("live", vips)
				h.reboot()
				h.must("ifup", "-a")
				h.expect("booted", vips)
			}
		})
	}
}

// TestIfupKnowsWhatWasAddedLive: a later ifup -a must not fail on addresses
// that are there.
func TestIfupKnowsWhatWasAddedLive(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"ifupdown", "ifupdown-ng"} {
		h := ifupdownHost(t, program)
		h.must("ifup", "-a")
		for _, vips := range stories {
			h.setup(append(list(vips), "--format", "ifupdown")...)
			h.must("ifup", "-a")
			h.expect(program, vips)
		}
	}
}

// networkd starts it as at boot, and waits until it has set up lo.
func (h *host) networkd() {
	h.t.Helper()
	h.must("sh", "-c", `mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
		chown -R systemd-network /run/systemd/netif`)
	h.daemon("", "/lib/systemd/systemd-networkd")
	h.must("/lib/systemd/systemd-networkd-wait-online", "--interface=lo", "--timeout=60")
}

func TestNetworkdBringsTheVIPsUp(t *testing.T) {
	t.Parallel()
	for _, vips := range stories[1:3] {
		h := newHost(t)
		h.install("networkd")
		h.setup(append(list(vips), "--format", "networkd")...)
		h.reboot()
		h.networkd()
		h.expect("booted", vips)
	}
}

// TestNetworkdFollows changes VIPs while the real networkd runs. Only the
// question whether it runs is answered in systemd's place.
func TestNetworkdFollows(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.install("networkd")
	h.must("mkdir", "-p", "/run/systemd/system", "/run/dbus")
	h.daemon("unix:", "dbus-daemon", "--system", "--nofork", "--nopidfile", "--print-address")
	h.setup(append(list(stories[0]), "--format", "networkd")...)
	h.networkd()
	h.write("usr/local/bin/systemctl", "#!/bin/sh\n[ \"$*\" = 'is-active --quiet systemd-networkd' ]\n")
	h.must("chmod", "755", "/usr/local/bin/systemctl")
	for _, vips := range stories {
		h.setup(list(vips)...)
		h.expect("changed", vips)
		h.setup(append(list(vips), "--check")...)
	}
	h.setup("--remove")
	h.expect("removed", nil)
}

func TestNetplanBringsTheVIPsUp(t *testing.T) {
	t.Parallel()
	for _, vips := range stories[1:3] {
		h := newHost(t, "netplan.io")
		h.install("netplan")
		if said := h.setup(list(vips)...); !strings.Contains(said, "format netplan") {
			t.Errorf("the format is not recognised: %s", said)
		}
		h.reboot()
		h.must("netplan", "generate")
		h.networkd()
		h.expect("booted", vips)
	}
}

// TestNetworkManagerFollows runs the real daemon: it takes the profile at its
// start, and every change of it.
func TestNetworkManagerFollows(t *testing.T) {
	t.Parallel()
	h := newHost(t, "network-manager")
	h.install("nm")
	h.write("etc/systemd/system/multi-user.target.wants/NetworkManager.service", "") // enabled
	h.must("mkdir", "-p", "/run/dbus")
	if said := h.setup(list(stories[0])...); !strings.Contains(said, "format nm: NetworkManager.service is enabled, version 1.") {
		t.Errorf("the format is not recognised: %s", said)
	}
	h.reboot()
	h.must("mkdir", "-p", "/run/dbus")
	h.daemon("unix:", "dbus-daemon", "--system", "--nofork", "--nopidfile", "--print-address")
	h.daemon("", "NetworkManager", "--no-daemon")
	h.must("nm-online", "-s", "-q", "-t", "60")
	h.expect("booted", stories[0])
	for _, vips := range stories {
		h.setup(list(vips)...)
		h.expect("changed", vips)
		for _, vip := range full(vips) { // in its profile: a device's addresses are the kernel's, whoever set them
			if got := strings.ReplaceAll(h.must("nmcli", "-g", "ipv4.addresses,ipv6.addresses", "connection", "show", "routesteer-lo"), "\\", ""); !strings.Contains(got, vip) {
				t.Errorf("NetworkManager does not know %s: %s", vip, got)
			}
		}
	}
	h.setup("--remove")
	h.expect("removed", nil)
}

// TestNetworkManagerLosesNoLine: it drops lines that it does not understand
// without a word, so its own parser's view is compared.
func TestNetworkManagerLosesNoLine(t *testing.T) {
	t.Parallel()
	h := newHost(t, "network-manager")
	for _, vips := range stories {
		h.setup(append(list(vips), "--format", "nm")...)
		got := h.must("sh", "-c", "nmcli --offline connection modify connection.id x </etc/NetworkManager/system-connections/routesteer-lo.nmconnection")
		for _, vip := range full(vips) {
			if !strings.Contains(got, "="+vip+"\n") {
				t.Errorf("%s is lost:\n%s", vip, got)
			}
		}
	}
}

func TestTheUnitAndItsProgram(t *testing.T) {
	t.Parallel()
	for _, vips := range stories[:3] {
		h := newHost(t)
		h.install("script")
		h.setup(append(list(vips), "--format", "script")...)
		h.reboot()
		if said := h.must("systemd-analyze", "verify", "--man=no", "/etc/systemd/system/routesteer-loopback.service"); said != "" {
			t.Errorf("systemd has objections: %s", said)
		}
		for range 2 {
			h.must("/usr/local/sbin/routesteer-loopback")
			h.expect("booted", vips)
		}
		if said := h.must("shellcheck", "/usr/local/sbin/routesteer-loopback"); said != "" {
			t.Error(said)
		}
	}
}

func TestTheSysctlsLast(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	ask := func() string {
		return h.must("sysctl", "-n", "net.ipv4.conf.all.arp_announce", "net.ipv4.conf.all.arp_ignore")
	}
	h.setup("--format", "script", "--vip", "10.1.1.1")
	if got := ask(); got != "2\n1\n" {
		t.Errorf("live: %q", got)
	}
	h.must("sysctl", "-q", "-w", "net.ipv4.conf.all.arp_announce=0", "net.ipv4.conf.all.arp_ignore=0")
	h.must("sysctl", "-q", "-p", "/etc/sysctl.d/60-routesteer.conf")
	if got := ask(); got != "2\n1\n" {
		t.Errorf("booted: %q", got)
	}
}
