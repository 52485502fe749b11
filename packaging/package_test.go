package packaging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// buildPackage builds the deb of a version, and returns its file.
func buildPackage(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.Command("./build", dir, runtime.GOARCH)
	build.Env = append(os.Environ(), "VERSION="+version, "PACKAGERS=deb")
	if said, code := run(t, build); code != 0 {
		t.Fatalf("packaging/build: exit %d\n%s", code, said)
	}
	debs, err := filepath.Glob(dir + "/*.deb")
	if err != nil || len(debs) != 1 {
		t.Fatalf("packaging/build made %q, %v", debs, err)
	}
	return debs[0]
}

// site is the least that makes a route: its server answers a check of its own.
const site = `servers: {web1: 192.0.2.11}
checks:
  default: {script: /bin/true, through: address, interval: 200ms}
alive: off
vips: [203.0.113.32/27]
routers: {edge: {linux: {}}}
`

func TestThePackageInstallsUpgradesAndGoes(t *testing.T) {
	first, second := buildPackage(t, "1.0.0"), buildPackage(t, "1.1.0")
	m := newMachine(t)
	m.sh("ip link add net type veth peer other; ip addr add 192.0.2.1/24 dev net; ip link set net up; ip link set other up")
	m.install(first, "tmp/first.deb", 0o644)
	m.install(second, "tmp/second.deb", 0o644)
	routed := func() bool {
		return strings.Contains(m.must("ip", "route", "show", "proto", "82"), "203.0.113.32/27 via 192.0.2.11")
	}

	t.Run("it installs, and steers nothing yet", func(t *testing.T) {
		m.must("dpkg", "--force-unsafe-io", "--no-triggers", "-i", "/tmp/first.deb")
		if said := m.must("routesteer", "version"); !strings.HasPrefix(said, "routesteer v1.0.0 ") {
			t.Errorf("version: %s", said)
		}
		if said := m.sh("stat -c %a,%U,%G /etc/routesteer"); said != "750,root,routesteer\n" {
			t.Errorf("/etc/routesteer: %s", said)
		}
		if state, _ := m.try("systemctl", "is-active", "routesteer"); state != "inactive\n" {
			t.Errorf("it is %s", state)
		}
		m.must("routesteer", "validate", "/etc/routesteer/routesteer.yaml.example")
		for _, page := range []string{"routesteer.1", "routesteer-drain.1", "routesteer.yaml.5"} {
			m.must("gzip", "-t", "/usr/share/man/man"+page[len(page)-1:]+"/"+page+".gz")
		}
		m.must("bash", "-n", "/usr/share/bash-completion/completions/routesteer")
	})
	t.Run("it runs", func(t *testing.T) {
		m.write("etc/routesteer/routesteer.yaml", site, 0o644)
		m.write("etc/routesteer/routesteer.yaml.example", "# mine\n"+site, 0o644)
		m.must("systemctl", "enable", "--now", "routesteer")
		eventually(t, "the first route", func() error { return isTrue(routed()) })
	})
	t.Run("an upgrade restarts it, and keeps files and routes", func(t *testing.T) {
		before := m.mainPID()
		m.must("dpkg", "--force-unsafe-io", "--no-triggers", "-i", "/tmp/second.deb")
		if m.mainPID() == before {
			t.Error("the old one runs on")
		}
		if said := m.must("routesteer", "status", "-o", "json"); !strings.Contains(said, `"version": "v1.1.0"`) {
			t.Errorf("status: %s", said)
		}
		if !routed() || m.read("etc/routesteer/routesteer.yaml") != site || !strings.HasPrefix(m.read("etc/routesteer/routesteer.yaml.example"), "# mine\n") {
			t.Error("something is not as it was")
		}
	})
	t.Run("where the new one refuses the file, the old one runs on", func(t *testing.T) {
		before := m.mainPID()
		m.write("etc/routesteer/routesteer.yaml", "servers: {}\n", 0o644)
		if said := m.must("dpkg", "--force-unsafe-io", "--no-triggers", "-i", "/tmp/first.deb"); !strings.Contains(said, "the old one runs on") {
			t.Errorf("dpkg: %s", said)
		}
		if m.mainPID() != before {
			t.Error("it was restarted")
		}
	})
	t.Run("a removal stops it, and leaves routes and files", func(t *testing.T) {
		m.must("dpkg", "-r", "routesteer")
		if state, _ := m.try("systemctl", "is-active", "routesteer"); state != "inactive\n" {
			t.Errorf("it is %s", state)
		}
		if !routed() {
			t.Error("the route has gone")
		}
		m.must("test", "-d", "/var/lib/routesteer")
		m.must("dpkg", "-P", "routesteer")
		m.must("test", "!", "-e", "/var/lib/routesteer")
		m.must("test", "-e", "/etc/routesteer/routesteer.yaml")
	})
}

func isTrue(is bool) error {
	if !is {
		return os.ErrNotExist
	}
	return nil
}
