package packaging_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// exposure is what systemd-analyze may say of the unit at most, of 100. What
// is left is what the unit is for: the host's network, and the right to change it.
const exposure = "18"

func TestTheUnitsAreWhatSystemdUnderstands(t *testing.T) {
	dir := t.TempDir()
	for _, unit := range []string{"routesteer.service", "routesteer-drain.service"} {
		text, err := os.ReadFile("systemd/" + unit)
		if err != nil {
			t.Fatal(err)
		}
		// verify wants to see the program.
		here := strings.ReplaceAll(string(text), "/usr/bin/routesteer", buildOnce(t, dir))
		if err := os.WriteFile(filepath.Join(dir, unit), []byte(here), 0o600); err != nil {
			t.Fatal(err)
		}
		// It exits 0 with mistakes, so that what it says counts.
		said, code := run(t, exec.Command("systemd-analyze", "verify", "--man=no", filepath.Join(dir, unit)))
		if code != 0 || strings.Contains(said, unit) {
			t.Errorf("systemd-analyze verify %s: exit %d\n%s", unit, code, said)
		}
	}
}

func TestTheControllerIsExposedAsLittleAsItCanBe(t *testing.T) {
	said, code := run(t, exec.Command("systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold="+exposure, "systemd/routesteer.service"))
	if code != 0 {
		t.Errorf("more than %s:\n%s", exposure, said)
	}
}

// buildOnce builds routesteer into dir, if it is not there.
func buildOnce(t *testing.T, dir string) string {
	t.Helper()
	binary := filepath.Join(dir, "routesteer")
	if _, err := os.Stat(binary); err == nil {
		return binary
	}
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "../cmd/routesteer")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, code := run(t, build); code != 0 {
		t.Fatalf("build routesteer: %s", said)
	}
	return binary
}

// token is web1's.
const token = "0123456789abcdef0123456789abcdef"

// newRouter is a machine with the unit, and with two servers on a link of its
// own, web1 and web2, which are one namespace with two addresses.
func newRouter(t *testing.T) *machine {
	t.Helper()
	m := newMachine(t)
	m.install(buildOnce(t, t.TempDir()), "usr/bin/routesteer", 0o755)
	m.install("systemd/routesteer.service", "usr/lib/systemd/system/routesteer.service", 0o644)
	m.install("systemd/routesteer-drain.service", "usr/lib/systemd/system/routesteer-drain.service", 0o644)
	m.install("systemd/routesteer.sysusers", "usr/lib/sysusers.d/routesteer.conf", 0o644)
	m.write("etc/routesteer/drain.conf", "ROUTESTEER_URL=http://127.0.0.1:8080\nROUTESTEER_SERVER=web1\n", 0o600)
	m.write("etc/routesteer/drain.token", token, 0o600)
	m.write("etc/routesteer/web1.token", token, 0o640)
	m.write("usr/local/lib/check", "#!/bin/sh\nid -un >/tmp/who; grep CapEff /proc/self/status; [ ! -w /etc ]\n", 0o755)
	m.sh(`systemd-sysusers
		chgrp routesteer /etc/routesteer /etc/routesteer/web1.token; chmod 750 /etc/routesteer
		useradd -G routesteer anna; useradd bob
		ip netns add web
		ip link add web type veth peer eth0 netns web
		ip addr add 192.0.2.1/24 dev web
		ip link set web up
		ip -n web addr add 192.0.2.11/24 dev eth0
		ip -n web addr add 192.0.2.12/24 dev eth0
		ip -n web addr add 203.0.113.33/32 dev lo
		ip -n web link set eth0 up
		ip -n web link set lo up
		ip -n web route add default via 192.0.2.1
		mkdir -p /srv/www; echo well >/srv/www/index.html
		ip netns exec web busybox httpd -h /srv/www -p 80`)
	m.write("etc/routesteer/routesteer.yaml", `
servers: {web1: 192.0.2.11, web2: 192.0.2.12}
checks:
  web: {http: {port: 80, path: /index.html, body: well}, interval: 200ms, fast_interval: 100ms}
  own: {script: [/usr/local/lib/check], interval: 200ms, through: address}
  both: {all: [web, own]}
vips: [{name: shop, prefix: 203.0.113.32/27, check: both, primary: web1}]
routers: {edge: {linux: {}}}
policy: {drain_idle: 1s, failback: immediate}
http: {listen: 127.0.0.1:8080, tokens: {web1: {file: /etc/routesteer/web1.token, servers: [web1]}}}
`, 0o640)
	m.sh(`chgrp routesteer /etc/routesteer/routesteer.yaml
		systemctl daemon-reload`)
	return m
}

// start starts the controller; systemctl returns when it has said that it is ready.
func (m *machine) start() {
	m.t.Helper()
	if said, code := m.try("systemctl", "start", "routesteer"); code != 0 {
		status, _ := m.try("systemctl", "status", "--no-pager", "routesteer")
		journal, _ := m.try("journalctl", "--no-pager")
		m.t.Fatalf("start: %s%s%s", said, status, journal)
	}
}

func (m *machine) mainPID() string {
	m.t.Helper()
	return strings.TrimSpace(m.must("systemctl", "show", "-P", "MainPID", "routesteer"))
}

func (m *machine) routedTo(server string) {
	m.t.Helper()
	eventually(m.t, "the route to lead to "+server, func() error {
		route := m.must("ip", "route", "show", "203.0.113.32/27", "proto", "82")
		if !strings.Contains(route, " "+server+" ") {
			return fmt.Errorf("%q", route)
		}
		return nil
	})
}

func TestUnderSystemdTheControllerDoesAllItsWork(t *testing.T) {
	m := newRouter(t)
	m.start()
	m.routedTo("192.0.2.11")

	t.Run("with few rights", func(t *testing.T) {
		pid := m.mainPID()
		for key, want := range map[string]string{
			"CapEff": "0000000000003000", "CapBnd": "0000000000003000", "NoNewPrivs": "1", "Seccomp": "2",
		} {
			if got := m.statusOf(pid, key); got != want {
				t.Errorf("%s is %s, want %s", key, got, want)
			}
		}
		if uid, root := m.statusOf(pid, "Uid"), "0 0 0 0"; uid == root {
			t.Error("it is root")
		}
		if mode := m.sh("stat -c %A,%U,%G /run/routesteer /run/routesteer/routesteer.sock /var/lib/routesteer"); mode != "drwxr-x---,routesteer,routesteer\nsrw-rw----,routesteer,routesteer\ndrwxr-x---,routesteer,routesteer\n" {
			t.Errorf("modes:\n%s", mode)
		}
	})
	t.Run("script checks have none", func(t *testing.T) {
		who := m.sh("cat /tmp/systemd-private-*-routesteer.service-*/tmp/who")
		if who != "routesteer\n" {
			t.Errorf("scripts run as %q", who)
		}
	})
	t.Run("its group may ask, others not", func(t *testing.T) {
		if said := m.must("runuser", "-u", "anna", "--", "routesteer", "status"); !strings.Contains(said, "all well") {
			t.Errorf("status:\n%s", said)
		}
		if said, code := m.try("runuser", "-u", "bob", "--", "routesteer", "status"); code == 0 || !strings.Contains(said, "no permission") {
			t.Errorf("bob is told: %s", said)
		}
	})
	t.Run("a drain keeps connections where they are", func(t *testing.T) {
		said := m.must("routesteer", "drain", "web1", "-o", "json")
		if !strings.Contains(said, `"confirmed": true`) || !strings.Contains(said, `"cut": []`) {
			t.Errorf("drain: %s", said)
		}
		m.routedTo("192.0.2.12")
		if said := m.must("routesteer", "status"); !strings.Contains(said, "1 move with connections that may stay") {
			t.Errorf("status:\n%s", said)
		}
	})
	t.Run("a server's unit drains it when it is stopped, and no other", func(t *testing.T) {
		m.must("routesteer", "undrain", "web1")
		m.routedTo("192.0.2.11")
		m.sh("systemctl start routesteer-drain; systemctl stop routesteer-drain")
		m.routedTo("192.0.2.12")
		if said := m.must("routesteer", "status", "web1"); !strings.Contains(said, "until it has rebooted: it stops") {
			t.Errorf("status of web1:\n%s", said)
		}
		if said, code := m.try("routesteer", "drain", "web2", "--url", "http://127.0.0.1:8080", "--token-file", "/etc/routesteer/drain.token"); code == 0 {
			t.Errorf("web1's token drains web2: %s", said)
		}
	})
	t.Run("a reload says what is wrong", func(t *testing.T) {
		good := m.read("etc/routesteer/routesteer.yaml")
		m.write("etc/routesteer/routesteer.yaml", "servers: {}\n", 0o640)
		if _, code := m.try("systemctl", "reload", "routesteer"); code == 0 {
			t.Error("reload of a bad file succeeds")
		}
		journal := m.must("journalctl", "--no-pager")
		if want := "/etc/routesteer/routesteer.yaml:1:10: servers:"; !strings.Contains(journal, want) {
			t.Errorf("the journal lacks %q:\n%s", want, journal)
		}
		m.write("etc/routesteer/routesteer.yaml", good, 0o640)
		m.must("systemctl", "reload", "routesteer")
	})
	t.Run("killed, it comes back and knows what was drained", func(t *testing.T) {
		before := m.mainPID()
		m.must("kill", "-9", before)
		m.routedTo("192.0.2.12")
		eventually(t, "systemd to start it again", func() error {
			if said, code := m.try("routesteer", "status", "web1"); code != 0 || !strings.Contains(said, "drained by") {
				return fmt.Errorf("%s", said)
			}
			return nil
		})
		if m.mainPID() == before {
			t.Error("it is the same process")
		}
	})
	t.Run("frozen, it is started again", func(t *testing.T) {
		m.write("run/systemd/system/routesteer.service.d/soon.conf", "[Service]\nWatchdogSec=2s\n", 0o644)
		m.sh("systemctl daemon-reload; systemctl restart routesteer")
		before := m.mainPID()
		m.must("kill", "-STOP", before)
		eventually(t, "the watchdog", func() error {
			if now := m.mainPID(); now == before || now == "0" {
				return fmt.Errorf("it is %s still", now)
			}
			return nil
		})
	})
	t.Run("stopped, it leaves the routes", func(t *testing.T) {
		m.must("systemctl", "stop", "routesteer")
		m.routedTo("192.0.2.12")
		if state, _ := m.try("systemctl", "is-failed", "routesteer"); state != "inactive\n" {
			t.Errorf("it is %s", state)
		}
	})
}
