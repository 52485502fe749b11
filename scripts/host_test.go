package scripts_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/scripts"
)

// A host is a machine of its own for the script: a mount, network and process
// namespace whose root directory is this machine's under a layer in memory.
// Nothing in it reaches this machine.
type host struct {
	t    *testing.T
	pid  int    // of its first process
	root string // its root directory, as seen from here
}

// bootHost has a root of its own in memory over this machine's, with the
// unpacked packages laid over it, and loopback up.
const bootHost = `set -e
mount -t tmpfs layer /mnt
mkdir /mnt/upper /mnt/work /mnt/root
for package; do cp -a "$package/." /mnt/upper/; done
mount -t overlay host -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys # NetworkManager waits for udev if it is writable
mount --bind /dev dev
mount -t tmpfs run run
mount -t tmpfs tmp tmp
rm -rf etc/network/interfaces etc/network/interfaces.d/* etc/netplan etc/systemd etc/sysctl.d etc/sysconfig \
	etc/NetworkManager/system-connections usr/local/sbin/*
ldconfig -r . # for libraries of the packages
ip link set lo up
exec chroot . sh -c 'echo $$ up; exec cat >/dev/null' # until standard input ends
`

// newHost starts a host with the packages that scripts/test-tools unpacked. It
// ends with the test, also when this process is killed.
func newHost(t *testing.T, packages ...string) *host {
	t.Helper()
	args := []string{"--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", bootHost, "sh"}
	for _, name := range packages {
		dir, err := filepath.Abs(filepath.Join("../build/hosts", name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, ".complete")); err != nil {
			t.Fatalf("%v; scripts/test-tools unpacks it", err)
		}
		args = append(args, dir)
	}
	cmd := exec.Command("unshare", args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("end the host: %v", err)
		}
	})
	if line, err := io.ReadAll(io.LimitReader(out, int64(len("1 up\n")))); string(line) != "1 up\n" {
		t.Fatalf("start a host: %q %v", line, err)
	}
	h := &host{t: t, pid: firstProcess(t, cmd.Process.Pid)}
	h.root = fmt.Sprintf("/proc/%d/root", h.pid)
	h.write("loopback-setup", scripts.LoopbackSetup(""))
	return h
}

// firstProcess finds the child of unshare.
func firstProcess(t *testing.T, unshare int) int {
	t.Helper()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", unshare, unshare))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// command makes a command that runs in the host.
func (h *host) command(args ...string) *exec.Cmd {
	enter := []string{"-t", strconv.Itoa(h.pid), "-m", "-n", "-p", "-r", "-w"}
	cmd := exec.Command("nsenter", append(enter, args...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	return cmd
}

// try runs a command and returns what it printed, and its exit code.
func (h *host) try(args ...string) (stdout, stderr string, code int) {
	h.t.Helper()
	return run(h.t, h.command(args...))
}

func run(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = 10 * time.Second // for a daemon that keeps our pipes: an error instead of a hang
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must runs a command that must succeed, and returns all that it printed.
func (h *host) must(args ...string) string {
	h.t.Helper()
	stdout, stderr, code := h.try(args...)
	if code != 0 {
		h.t.Fatalf("%s: exit %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout + stderr
}

// setup runs the script, as sh.
func (h *host) setup(args ...string) string {
	h.t.Helper()
	return h.must(append([]string{"sh", "/loopback-setup"}, args...)...)
}

func (h *host) write(name, text string) {
	h.t.Helper()
	writeFile(h.t, h.root, name, text)
}

func writeFile(t *testing.T, root, name, text string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (h *host) read(name string) string {
	h.t.Helper()
	data, err := os.ReadFile(filepath.Join(h.root, name))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(data)
}

// onLoopback returns the addresses of lo with their lengths, sorted, without
// those that every lo has.
func (h *host) onLoopback() []string {
	h.t.Helper()
	var all []string
	for line := range strings.Lines(h.must("ip", "-o", "addr", "show", "dev", "lo")) {
		if address := strings.Fields(line)[3]; address != "127.0.0.1/8" && address != "::1/128" {
			all = append(all, address)
		}
	}
	slices.Sort(all)
	return all
}

// expect compares the kernel with a list of addresses.
func (h *host) expect(when string, vips []string) {
	h.t.Helper()
	if got, want := h.onLoopback(), full(vips); !slices.Equal(got, want) {
		h.t.Fatalf("%s: on lo is %v, want %v", when, got, want)
	}
	if !strings.Contains(h.must("ip", "-o", "addr", "show", "dev", "lo"), " 127.0.0.1/8 ") {
		h.t.Fatalf("%s: 127.0.0.1 is gone", when)
	}
}

// full adds the lengths, and sorts.
func full(vips []string) []string {
	var all []string
	for _, vip := range vips {
		if strings.Contains(vip, ":") {
			all = append(all, vip+"/128")
		} else {
			all = append(all, vip+"/32")
		}
	}
	slices.Sort(all)
	return all
}

// written are the directories that the script writes to.
var written = []string{"etc/network", "etc/netplan", "etc/systemd", "etc/sysctl.d", "etc/sysconfig", "etc/NetworkManager", "usr/local/sbin"}

// files returns every file in the directories that the script writes to, with
// mode and content.
func files(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, dir := range written {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && entry.IsDir() {
				return nil
			}
			if err != nil {
				return err
			}
			name, text, err := readEntry(root, path, entry)
			all[name] = text
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func readEntry(root, path string, entry fs.DirEntry) (name, text string, err error) {
	name, err = filepath.Rel(root, path)
	if err != nil {
		return name, "", err
	}
	if entry.Type() == fs.ModeSymlink {
		target, err := os.Readlink(path)
		return name, "link to " + target, err
	}
	info, err := entry.Info()
	if err != nil {
		return name, "", err
	}
	data, err := os.ReadFile(path)
	return name, info.Mode().String() + "\n" + string(data), err
}

// sameFiles compares two answers of files.
func sameFiles(t *testing.T, when string, got, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if have, there := got[name]; !there {
			t.Errorf("%s: %s is gone", when, name)
		} else if have != text {
			t.Errorf("%s: %s is\n%s\nwant\n%s", when, name, have, text)
		}
	}
	for name := range got {
		if _, there := want[name]; !there {
			t.Errorf("%s: there is %s", when, name)
		}
	}
}
