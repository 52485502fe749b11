package scripts_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// A finding is what `routesteer doctor -o json` says of one thing.
type finding struct {
	Name, What, Mend string
	OK               bool
}

// router is a host that is the router of a site: servers are behind lan0.
func router(t *testing.T, packages ...string) *host {
	t.Helper()
	h := siteHost(t, packages...)
	h.write("tmp/router.yaml", "servers: {web1: 192.0.2.11}\nvips: [203.0.113.32/27, 203.0.113.64/27]\nrouters: {edge: {linux: {}}}\n")
	h.must("sh", "-c", "ip link add lan0 type veth peer name lan1; ip link set lan1 up; ip link set lan0 up; ip addr add 192.0.2.1/24 dev lan0; sysctl -qw net.ipv4.ip_forward=1")
	return h
}

// doctor returns the finding of that name; all others must be well.
func (h *host) doctor(name string) finding {
	h.t.Helper()
	out, errs, code := h.try("routesteer", "doctor", "-c", "/tmp/router.yaml", "-o", "json")
	var d struct{ Checks []finding }
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		h.t.Fatalf("%v\n%s%s", err, out, errs)
	}
	var found finding
	for _, f := range d.Checks {
		switch {
		case f.Name == name:
			found = f
		case !f.OK:
			h.t.Errorf("%s: %s", f.Name, f.What)
		}
	}
	if found.Name == "" || found.OK != (code == 0) {
		h.t.Errorf("exit code %d with %+v", code, found)
	}
	return found
}

func TestDoctorKnowsARouteOfBIRD(t *testing.T) {
	t.Parallel()
	h := router(t, "bird2")
	h.write("tmp/bird.conf", "router id 192.0.2.1;\nprotocol device {}\nprotocol kernel { ipv4 { export all; }; }\n"+
		"protocol static { ipv4; route 203.0.113.32/27 via 192.0.2.99; route 203.0.113.70/32 via 192.0.2.99; }\n")
	h.must("bird", "-c", "/tmp/bird.conf", "-s", "/tmp/bird.ctl", "-P", "/tmp/bird.pid")
	h.must("sh", "-c", "timeout 20 sh -c 'until ip route show proto bird | grep -q 203.0.113.70; do sleep 0.05; done'")
	f := h.doctor("routes of other programs")
	if f.OK || !strings.Contains(f.What, "BIRD has a route for 203.0.113.32/27 in table 254") || !strings.Contains(f.What, "203.0.113.70/32") {
		t.Fatalf("%+v", f)
	}
	h.must("sh", "-c", "kill $(cat /tmp/bird.pid); timeout 20 sh -c 'while [ -e /tmp/bird.pid ]; do sleep 0.05; done'")
	for _, mend := range strings.Split(f.Mend, "; ") {
		h.try("sh", "-c", mend) // BIRD has removed them itself
	}
	if f := h.doctor("routes of other programs"); !f.OK {
		t.Errorf("mended: %+v", f)
	}
}

// TestDoctorKnowsNetworkManager also shows that what the finding says is so.
func TestDoctorKnowsNetworkManager(t *testing.T) {
	t.Parallel()
	h := router(t, "network-manager")
	const profile = "etc/NetworkManager/system-connections/lan.nmconnection"
	h.write(profile, "[connection]\nid=lan\nuuid=7a9d4a0e-3a4e-4a1f-9a53-1d2f3a4b5c6d\ntype=ethernet\ninterface-name=lan0\nautoconnect=false\n"+
		"[ipv4]\nmethod=manual\naddress1=192.0.2.1/24\n[ipv6]\nmethod=disabled\n")
	h.must("chmod", "600", "/"+profile)
	h.must("mkdir", "-p", "/run/dbus", "/etc/NetworkManager/conf.d")
	if f := h.doctor("NetworkManager"); !f.OK {
		t.Errorf("it does not run: %+v", f)
	}
	h.daemon("unix:", "dbus-daemon", "--system", "--nofork", "--nopidfile", "--print-address")
	h.daemon("", "NetworkManager", "--no-daemon")
	h.must("sh", "-c", "timeout 60 sh -c 'until nmcli -t device | grep -q ^lan0:ethernet:connected; do sleep 0.1; done'")
	h.must("ip", "route", "add", "203.0.113.32/27", "via", "192.0.2.11", "proto", "82")
	h.must("nmcli", "connection", "up", "lan")
	if left := h.must("ip", "route", "show", "proto", "82"); left != "" {
		t.Errorf("a connection was activated, and our route stays: %s", left)
	}
	f := h.doctor("NetworkManager")
	if f.OK || !strings.Contains(f.What, "manages lan0") {
		t.Fatalf("%+v", f)
	}
	h.must("sh", "-c", f.Mend)
	h.must("sh", "-c", "timeout 20 sh -c 'until nmcli -t device | grep -q ^lan0:ethernet:unmanaged; do sleep 0.1; done'")
	h.must("sh", "-c", "ip addr replace 192.0.2.1/24 dev lan0; ip link set lan0 up") // by other means
	if f := h.doctor("NetworkManager"); !f.OK {
		t.Errorf("mended: %+v", f)
	}
}

func TestDoctorKnowsNetworkd(t *testing.T) {
	t.Parallel()
	h := router(t)
	h.write("etc/systemd/network/lo.network", "[Match]\nName=lo\n[Network]\nAddress=203.0.113.33/32\n")
	if f := h.doctor("systemd-networkd"); !f.OK {
		t.Errorf("it does not run: %+v", f)
	}
	h.networkd()
	f := h.doctor("systemd-networkd")
	if f.OK {
		t.Fatalf("it runs: %+v", f)
	}
	h.write("usr/local/bin/systemctl", "#!/bin/sh\n[ \"$*\" = 'restart systemd-networkd' ]\n")
	h.must("chmod", "755", "/usr/local/bin/systemctl")
	h.must("sh", "-c", f.Mend)
	if f := h.doctor("systemd-networkd"); !f.OK {
		t.Errorf("mended: %+v", f)
	}
}
