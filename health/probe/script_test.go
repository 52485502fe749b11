package probe

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/program/programtest"
	"github.com/routesteer/routesteer/topology"
)

// written writes a shell script that a check can run.
func written(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "check")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func running(command ...string) topology.Check {
	return unhurried(topology.Check{Script: &topology.Script{Command: command}})
}

func TestPrograms(t *testing.T) {
	t.Setenv("ROUTESTEER_TEST_SECRET", "hunter2")
	l := newLAN(t, 1)
	r := l.prober()
	for _, c := range []struct{ name, text, want string }{
		{"it passes", "exit 0", ""},
		{"it fails", "exit 1", "exit status 1"},
		{"it says why", "echo; echo ' base dn is gone '; echo more; exit 2", "exit status 2: base dn is gone"},
		{"it says why elsewhere", "echo 'no bind' >&2; exit 3", "exit status 3: no bind"},
		{"it says why in colour", `printf '\033[31mred\033[0m\n'; exit 1`, "exit status 1: [31mred[0m"},
		{"it crashes", "kill -SEGV $$", "signal: segmentation fault"},
		{"arguments come as they are", `[ "$#" = 2 ] && [ "$1" = 'a b' ] && [ "$2" = '$HOME;exit 9' ]`, ""},
		{"it knows what it is about", `[ "$ROUTESTEER_SERVER $ROUTESTEER_VIP $ROUTESTEER_ADDRESS $ROUTESTEER_MARK" = "web1 203.0.113.33 192.0.2.11 0x52530000" ]`, ""},
		{"it inherits no environment", `echo "$ROUTESTEER_TEST_SECRET"; env | grep -v -e ^PATH= -e ^PWD= -e ^ROUTESTEER_[SVAM][A-Z]*= -e ^_= -e ^SHLVL= -e ^OLDPWD= && exit 1; exit 0`, ""},
		{"it has no rights", `grep -E '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status | grep -v 0000000000000000 && exit 1; exit 0`, ""},
		{"it cannot take any", `ip link set lan0 down 2>/dev/null && exit 1; exit 0`, ""},
		{"it is in the namespace of the checks", "ip -o link show lan0 >/dev/null", ""},
		{"it has no files of ours", `for fd in /proc/self/fd/*; do readlink $fd | grep -e socket: -e anon_inode -e '^net:' && exit 1; done; exit 0`, ""},
		{"it leaves a child with its output open", "sleep 60 & exit 0", ""},
	} {
		r.set(l.site(running(written(t, c.text), "a b", "$HOME;exit 9")))
		began := time.Now()
		if got := r.check(web(1, vip4))[0]; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if took := time.Since(began); took > patience {
			t.Errorf("%s: took %s", c.name, took)
		}
	}
}

func TestAProgramThroughTheServersAddressHasNoMark(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	r := l.prober()
	check := running(written(t, `echo "$ROUTESTEER_VIP $ROUTESTEER_ADDRESS ${ROUTESTEER_MARK-none}"; exit 1`))
	check.Through = topology.ThroughAddress
	r.set(l.site(check))
	if got, want := r.check(web(1, vip6))[0], "exit status 1: 2001:db8:f::1 fd00:2::11 none"; got != want {
		t.Errorf("failure %q, want %q", got, want)
	}
}

// TestAProgramThatDoesNotEndIsKilledWithItsChildren holds the timeout, also when
// output comes without end.
func TestAProgramThatDoesNotEndIsKilledWithItsChildren(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	r := l.prober()
	for _, last := range []string{"wait", "yes", "trap '' TERM INT HUP; while :; do sleep 1; done"} {
		path := written(t, `sleep 600 & echo "$! $$" >"$0.pids"; `+last)
		check := running(path)
		check.Timeout = 2 * time.Second // it writes who it is before
		r.set(l.site(check))
		began := time.Now()
		if got, want := r.check(web(1, vip4))[0], "timeout after 2s (waiting for the program)"; got != want {
			t.Errorf("%s: %q, want %q", last, got, want)
		}
		if took := time.Since(began); took > patience {
			t.Errorf("%s: took %s", last, took)
		}
		gone(t, path+".pids")
	}
}

// gone makes sure that processes have ended, or are about to.
func gone(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for word := range strings.FieldsSeq(string(text)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		programtest.AwaitEnd(t, pid)
	}
}

func TestAProgramIsKilledWhenItsCheckIsBrokenOff(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	r := l.prober()
	path := written(t, `echo "$$" >"$0.pids"; exec sleep 600`)
	check := running(path)
	check.Timeout = never
	r.set(l.site(check))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	began := time.Now()
	got := r.Check(ctx, []health.Target{web(1, vip4)})[0]
	if took := time.Since(began); !strings.HasPrefix(got.Failure, "check broken off") || took > patience {
		t.Errorf("after %s: %q", took, got.Failure)
	}
	gone(t, path+".pids")
}

func TestOnlySoManyProgramsRunAtOnce(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	r := l.prober()
	path := written(t, `
: >"$0.$$"
set -- "$0".*; echo $#
sleep 0.05
rm "$0.$$"
exit 1`)
	plan := plan{check: running(path), addresses: []netip.Addr{vip4.Addr()}}
	plan.check.Timeout = 30 * time.Second
	var all sync.WaitGroup
	var mu sync.Mutex
	most := 0
	for range 2 * maxPrograms {
		all.Go(func() {
			err := newScriptCheck(r.launcher, plan).run(&leash{}, aim{})
			words := strings.TrimPrefix(err.Error(), "exit status 1: ")
			n, parseErr := strconv.Atoi(words)
			mu.Lock()
			defer mu.Unlock()
			if parseErr != nil {
				t.Errorf("a program said %q", words)
			}
			most = max(most, n)
		})
	}
	all.Wait()
	if most < 2 || most > maxPrograms {
		t.Errorf("at most %d programs ran at once, want 2 to %d", most, maxPrograms)
	}
	// When there is no slot in time, that is this machine's trouble.
	for range maxPrograms {
		r.launcher.slots <- struct{}{}
	}
	plan.check.Timeout = 50 * time.Millisecond
	err := newScriptCheck(r.launcher, plan).run(&leash{}, aim{})
	if want := "timeout after 50ms (32 programs of checks run already)"; err == nil || err.Error() != want {
		t.Errorf("without a slot: %v, want %q", err, want)
	}
}

func TestOnlyProgramsThatNobodyElseCanChangeAreRun(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	r := l.prober()
	good := written(t, "exit 0")
	change := func(path string, mode os.FileMode) string {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open, plain, moved := change(written(t, ""), 0o720), change(written(t, ""), 0o600), written(t, "")
	change(filepath.Dir(moved), 0o777)
	links := t.TempDir()
	link := filepath.Join(links, "check")
	if err := os.Symlink(good, link); err != nil {
		t.Fatal(err)
	}
	r.set(l.site(running(link)))
	for path, want := range map[string]string{
		"/nowhere/check": "no such file or directory",
		links:            links + " is no program",
		plain:            plain + " is not executable: chmod +x " + plain,
		open:             open + " can be changed by others than root and the user that routesteer runs as: chown it, and chmod go-w " + open,
		moved:            "others can put another program in the place of " + moved + ": chmod go-w " + filepath.Dir(moved),
	} {
		err := r.Set(l.site(running(path)))
		if err == nil || !strings.Contains(err.Error(), "look at the program of check web: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
	}
	// What is opened later is not run any more.
	change(links, 0o777)
	if got, want := r.check(web(1, vip4))[0], "not run: others can put another program in the place of "+link+": chmod go-w "+links; got != want {
		t.Errorf("failure %q, want %q", got, want)
	}
}
