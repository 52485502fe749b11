package packaging_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestAServerIsDrainedBeforeItStopsServing: with the unit for web servers, what
// a shutdown stops first is the traffic.
func TestAServerIsDrainedBeforeItStopsServing(t *testing.T) {
	m := newMachine(t, "nginx")
	m.install("systemd/routesteer-drain.service", "usr/lib/systemd/system/routesteer-drain.service", 0o644)
	m.write("etc/routesteer/drain.conf", "ROUTESTEER_URL=https://router.example.com:8443\nROUTESTEER_SERVER=web1\n", 0o600)
	m.write("etc/routesteer/drain.token", "a-token-of-the-controller", 0o600)
	// It says how it was called, and whether the server answers still.
	m.write("usr/bin/routesteer", `#!/bin/sh
echo "called with $1 $2 $3 $(cat "$4")"
shift 4
echo "called with $*"
busybox wget -q -O /dev/null http://127.0.0.1/ && echo "called while the server answers"
`, 0o755)
	m.write("etc/nginx/conf.d/here.conf", "server { listen 80; }\n", 0o644)
	// As shutdown.target does, it stops whatever it does not want.
	m.write("etc/systemd/system/down.target", "[Unit]\nAllowIsolate=yes\nRequires=systemd-journald.service\n", 0o644)
	m.sh(`systemctl daemon-reload
		systemctl start nginx routesteer-drain
		systemctl isolate down.target`) // it waits for the target, and for nothing that stops
	eventually(t, "nginx to stop", func() error {
		if state, code := m.try("systemctl", "is-active", "nginx"); code == 0 || state == "deactivating\n" {
			return fmt.Errorf("it is %s", state)
		}
		return nil
	})
	m.must("journalctl", "--sync")
	journal := m.must("journalctl", "--no-pager", "-o", "cat")
	var story []string
	for line := range strings.Lines(journal) {
		if strings.HasPrefix(line, "called") || strings.HasPrefix(line, "Stopping nginx") {
			story = append(story, strings.TrimSpace(line))
		}
	}
	want := []string{
		"called with --url https://router.example.com:8443 --token-file a-token-of-the-controller",
		"called with drain web1 --until reboot --reason it stops --wait",
		"called while the server answers",
		"Stopping nginx",
	}
	if len(story) != len(want) {
		t.Fatalf("got %q, want %q\n%s", story, want, journal)
	}
	for i := range want {
		if !strings.HasPrefix(story[i], want[i]) {
			t.Errorf("got %q, want %q", story[i], want[i])
		}
	}
}
