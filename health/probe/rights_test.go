package probe

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/health"
)

// poorProber opens a prober without some rights, given by name, and returns
// what it says.
func poorProber(without []string) error {
	runtime.LockOSThread() // rights are a thread's
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var rights [2]unix.CapUserData
	if err := unix.Capget(&header, &rights[0]); err != nil {
		return fmt.Errorf("read this thread's rights: %w", err)
	}
	for _, name := range without {
		rights[0].Effective &^= 1 << map[string]int{"CAP_NET_ADMIN": unix.CAP_NET_ADMIN, "CAP_NET_RAW": unix.CAP_NET_RAW}[name]
	}
	if err := unix.Capset(&header, &rights[0]); err != nil {
		return fmt.Errorf("give up rights: %w", err)
	}
	p, err := New(make(chan health.News, 1), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return p.Close()
}

func TestMissingRightsAreNamedAtOnceWithTheMend(t *testing.T) {
	l := newLAN(t, 0)
	before := l.traces()
	for _, c := range []struct{ without, want string }{
		{"CAP_NET_ADMIN", "not given: CAP_NET_ADMIN ("},
		{"CAP_NET_RAW", "not given: CAP_NET_RAW ("},
		{"CAP_NET_ADMIN CAP_NET_RAW", "not given: CAP_NET_ADMIN, CAP_NET_RAW ("},
		{"", ""},
	} {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "PROBE_TEST_ROLE=without "+c.without)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := l.router.Start(cmd); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // its words count
		got := out.String()
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("without %q: %q, want %q", c.without, got, c.want)
		}
		if c.want != "" && !strings.Contains(got, "AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW") {
			t.Errorf("without %q: no mend in %q", c.without, got)
		}
	}
	if after := l.traces(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}
