package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// labUntilKilled is a lab in a process of its own, for the tests to kill.
func labUntilKilled(base string) error {
	l, err := Start(context.Background(), Options{Base: base, Servers: 1, VIPs: 1})
	if err != nil {
		return err
	}
	fmt.Println(readyWord, l.servers["web1"].cmd.Process.Pid)
	select {}
}

func TestTwoLabsAtOnce(t *testing.T) {
	base := shortDir(t)
	first := start(t, Options{Base: base})
	second := start(t, Options{Base: base})
	if first.ID != 1 || second.ID != 2 {
		t.Errorf("labs are number %d and %d, want 1 and 2", first.ID, second.ID)
	}
	if _, err := Start(t.Context(), Options{Base: base, ID: 2}); err == nil || !strings.Contains(err.Error(), "--id") {
		t.Errorf("a second lab 2: %v, want a refusal that names --id", err)
	}
	status, err := ask(t.Context(), base, 1, "POST", "crash/web1")
	if err != nil {
		t.Fatal(err)
	}
	if got := status.Servers[0].Faults; len(got) != 1 || got[0] != Crash {
		t.Errorf("faults of web1 are %v, want crash", got)
	}
	wantServer(t, second, second.Site.VIPs[0].Address, "web1")
	if _, err := ask(t.Context(), base, 0, "GET", "status"); err == nil || !strings.Contains(err.Error(), "1 2") {
		t.Errorf("asking the only lab of two: %v, want both numbers", err)
	}
	if _, err := ask(t.Context(), base, 2, "POST", "crash/web9"); err == nil || !strings.Contains(err.Error(), "web1") {
		t.Errorf("unknown server over the socket: %v, want the known ones", err)
	}
}

func TestLeftoversOfADeadLabAreRemovedAndNothingElse(t *testing.T) {
	base := shortDir(t)
	alive := start(t, Options{Base: base, Servers: 1, VIPs: 1})
	stranger := filepath.Join(base, "routesteer-lab-notes")
	if err := os.Mkdir(stranger, 0o700); err != nil {
		t.Fatal(err)
	}
	dead := killedLab(t, base)
	if _, err := os.Stat(dead); err != nil {
		t.Fatalf("a killed lab leaves its directory: %v", err)
	}
	next := start(t, Options{Base: base, Servers: 1, VIPs: 1})
	if next.ID != 2 {
		t.Errorf("the next lab is number %d, want the dead one's, 2", next.ID)
	}
	for _, dir := range []string{alive.Paths.Dir, stranger} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("it is not a dead lab's: %v", err)
		}
	}
	wantServer(t, alive, alive.Site.VIPs[0].Address, "web1")
	if ids, err := Running(base); err != nil || len(ids) != 2 {
		t.Errorf("labs %v run, %v; want two", ids, err)
	}
}

// killedLab starts a lab in another process, kills that, and waits until its
// server is gone too. It returns the lab's directory.
func killedLab(t *testing.T, base string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "lab-until-killed", base)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var word string
	var server int
	if _, err := fmt.Fscan(out, &word, &server); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, as it says
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	err = poll(ctx, 5*time.Millisecond, "the dead lab's server to die", func() (bool, error) {
		return !isAlive(server), nil
	})
	if err != nil {
		t.Error(err)
	}
	return PathsOf(base, 2).Dir
}

// isAlive reports whether a process runs; a zombie whose new parent has not
// looked yet does not.
func isAlive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestCloseRemovesTheDirectory(t *testing.T) {
	base := shortDir(t)
	l, err := Start(t.Context(), Options{Base: base, Servers: 1, VIPs: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(base)
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v; want nothing", left, err)
	}
}
