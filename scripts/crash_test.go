package scripts_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// kills is how often the script is killed; `make soak` asks for many.
var kills = flag.Int("kills", 30, "how often TestKilledAnywhereTheNextRunConverges kills the script")

// killer stands in front of every program that the script runs, counts the
// calls, and at the one in /tmp/kill-at kills the script with all that it
// started, before or after the program has run.
const killer = `#!/bin/sh
read -r calls </tmp/calls
calls=$((calls + 1))
echo "$calls" >/tmp/calls
read -r at when </tmp/kill-at
[ "$calls $when" != "$at before" ] || kill -9 0
PATH=${PATH#/killer:} "${0##*/}" "$@"
status=$?
[ "$calls $when" != "$at after" ] || kill -9 0
exit $status
`

var externals = []string{"ip", "cat", "chmod", "cp", "id", "ln", "ls", "mkdir", "mv", "readlink", "rm", "sync"}

// A world is a host in which the script is killed.
type world struct {
	*host
	random *rand.Rand
}

func newWorld(t *testing.T) *world {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := &world{host: newHost(t), random: rand.New(rand.NewPCG(seed, 0))}
	for _, name := range externals {
		w.write("killer/"+name, killer)
	}
	w.must("chmod", "-R", "755", "/killer")
	for format := range formats {
		w.install(format)
	}
	return w
}

// pick returns a format and some VIPs of a few, so that lists overlap.
func (w *world) pick() (format string, vips []string) {
	format = slices.Sorted(maps.Keys(formats))[w.random.IntN(len(formats))]
	for i := range 6 {
		if w.random.IntN(2) == 0 {
			vips = append(vips, fmt.Sprintf("10.1.1.%d", i+1))
		}
		if w.random.IntN(2) == 0 {
			vips = append(vips, fmt.Sprintf("2001:db8::%d", i+1))
		}
	}
	return format, append(vips, "10.1.2.1")
}

// setupKilled runs the script and reports whether it was killed at that call.
func (w *world) setupKilled(call int, args ...string) bool {
	w.t.Helper()
	w.write("tmp/calls", "0\n")
	w.write("tmp/kill-at", fmt.Sprintln(call, []string{"before", "after"}[w.random.IntN(2)]))
	cmd := w.command(append([]string{"sh", "/loopback-setup"}, args...)...)
	cmd.Env = []string{"PATH=/killer:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	_, stderr, code := run(w.t, cmd)
	if code > 0 {
		w.t.Fatalf("%v: exit %d: %s", args, code, stderr)
	}
	return code < 0
}

// TestKilledAnywhereTheNextRunConverges kills the script again and again while it
// changes from one random list and format to the next.
func TestKilledAnywhereTheNextRunConverges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	foreign := files(t, w.root)
	before := foreign
	for killed := 0; killed < *kills; {
		format, vips := w.pick()
		args := append(list(vips), "--format", format)
		want := w.rendered(args)
		if w.setupKilled(1+w.random.IntN(30), args...) { // most runs make some 25
			killed++
			w.eachIsOldOrNew(before, want)
		}
		if w.random.IntN(3) == 0 { // the operator has changed his mind meanwhile
			format, vips = w.pick()
			args = append(list(vips), "--format", format)
			want = w.rendered(args)
		}
		w.setup(args...)
		w.expect("the next run", vips)
		before = files(t, w.root)
		sameFiles(t, "the next run", before, want)
		if t.Failed() {
			t.Fatalf("after %d kills; last: %v", killed, args)
		}
	}
	w.setup("--remove")
	w.expect("removed", nil)
	sameFiles(t, "removed", files(t, w.root), foreign)
}

// rendered returns the files that the script makes of what is somebody else's
// where nobody kills it.
func (w *world) rendered(args []string) map[string]string {
	w.t.Helper()
	root, err := os.MkdirTemp(filepath.Join(w.root, "tmp"), "") // in memory: a disk's sync takes its time
	if err != nil {
		w.t.Fatal(err)
	}
	for _, stock := range formats {
		for name, text := range stock {
			writeFile(w.t, root, name, text)
		}
	}
	cmd := exec.Command("sh", append([]string{"loopback-setup", "--root", root}, args...)...)
	if out, stderr, code := run(w.t, cmd); code != 0 {
		w.t.Fatal(out, stderr)
	}
	return files(w.t, root)
}

// eachIsOldOrNew: whatever the moment, every file that somebody reads is
// there in full, as it was or as it will be.
func (w *world) eachIsOldOrNew(before, want map[string]string) {
	w.t.Helper()
	now := files(w.t, w.root)
	for name, text := range now {
		if base := path.Base(name); strings.HasPrefix(base, ".routesteer-loopback.") && strings.HasSuffix(base, ".new") {
			continue // a name that nobody reads
		}
		if text != before[name] && text != want[name] {
			w.t.Errorf("%s was left as\n%s", name, text)
		}
	}
	for name := range before {
		if _, stays := want[name]; stays && now[name] == "" {
			w.t.Errorf("%s is gone", name)
		}
	}
}
