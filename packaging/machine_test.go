package packaging_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A machine has been booted by the systemd that is installed here: a process,
// mount, network and control group namespace, whose root directory is this
// machine's under a layer in memory. Nothing in it reaches this machine.
type machine struct {
	t    *testing.T
	pid  int    // of its systemd, as seen from here
	root string // its root directory, as seen from here
}

// boot makes the root directory. What is enabled here is not, nor is what only
// takes time.
const boot = `set -e
mount -t tmpfs layer /mnt
mkdir /mnt/upper /mnt/work /mnt/root
for package; do cp -a "$package/." /mnt/upper/; done
mount -t overlay machine -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs dev dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
ln -s /proc/self/fd dev/fd
mkdir dev/shm dev/pts dev/mqueue dev/hugepages
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs run run
mount -t tmpfs tmp tmp
rm -rf etc/systemd/system/*.wants var/lib/systemd/deb-systemd-helper-enabled
: >etc/machine-id
for unit in systemd-logind systemd-tmpfiles-setup systemd-tmpfiles-setup-dev systemd-modules-load systemd-sysctl systemd-update-utmp \
	systemd-update-utmp-runlevel systemd-udevd systemd-udev-trigger systemd-remount-fs systemd-journal-flush systemd-random-seed kmod-static-nodes; do
	ln -sf /dev/null etc/systemd/system/$unit.service
done
for mount in dev-hugepages dev-mqueue sys-kernel-debug sys-kernel-tracing sys-kernel-config sys-fs-fuse-connections; do
	ln -sf /dev/null etc/systemd/system/$mount.mount
done
ip link set lo up
export container=test
exec chroot . /lib/systemd/systemd --log-target=journal --show-status=no --unit=basic.target
`

// newMachine boots a machine with the packages that scripts/test-tools
// unpacked. It ends with the test, also when this process is killed.
func newMachine(t *testing.T, packages ...string) *machine {
	t.Helper()
	group := newGroup(t)
	args := []string{"-c", `echo $$ >"$1/cgroup.procs"; shift
exec unshare --mount --net --pid --ipc --uts --cgroup --fork --kill-child sh -c "$0" sh "$@"`, boot, group}
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
	cmd := exec.Command("sh", args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // unshare's child goes with it
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	m := &machine{t: t}
	eventually(t, "systemd to start", func() (err error) {
		m.pid, err = systemdOf(cmd.Process.Pid)
		return err
	})
	m.root = fmt.Sprintf("/proc/%d/root", m.pid)
	eventually(t, "systemd to answer", func() error {
		_, err := os.Stat(filepath.Join(m.root, "run/systemd/private"))
		return err
	})
	m.try("systemctl", "is-system-running", "--wait") // "degraded" is as good
	return m
}

// newGroup makes a control group for a machine, and removes it with all that
// the machine made in it.
func newGroup(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if fields[2] != "cgroup2" {
			continue
		}
		group, err := os.MkdirTemp(fields[1], "routesteer-test-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { eventually(t, "the control group to be empty", func() error { return removeGroup(group) }) })
		return group
	}
	t.Fatal("no cgroup2 is mounted here: systemd cannot be booted")
	return ""
}

// removeGroup removes a control group and those within, innermost first.
func removeGroup(group string) error {
	return exec.Command("find", group, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+").Run()
}

// systemdOf finds the child of unshare, once that is systemd.
func systemdOf(unshare int) (int, error) {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", unshare, unshare))
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil {
		return 0, fmt.Errorf("no child yet: %w", err)
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return 0, err
	}
	if string(name) != "systemd\n" {
		return 0, fmt.Errorf("it is %s still", name)
	}
	return pid, nil
}

// command makes a command that runs in the machine, as root.
func (m *machine) command(args ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{"-t", strconv.Itoa(m.pid), "-m", "-n", "-p", "-i", "-u", "-r", "-w"}, args...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
	return cmd
}

// try runs a command and returns all that it printed, and its exit code.
func (m *machine) try(args ...string) (said string, code int) {
	m.t.Helper()
	return run(m.t, m.command(args...))
}

// must runs a command that must succeed.
func (m *machine) must(args ...string) string {
	m.t.Helper()
	said, code := m.try(args...)
	if code != 0 {
		m.t.Fatalf("%s: exit %d\n%s", strings.Join(args, " "), code, said)
	}
	return said
}

// sh runs a script that must succeed.
func (m *machine) sh(script string) string {
	m.t.Helper()
	return m.must("sh", "-ec", script)
}

func (m *machine) write(path, text string, mode os.FileMode) {
	m.t.Helper()
	path = filepath.Join(m.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) read(path string) string {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.root, path))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

// install copies a file of ours into the machine.
func (m *machine) install(from, to string, mode os.FileMode) {
	m.t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(to, string(text), mode)
}

// run runs a command and returns all that it printed, and its exit code.
func run(t *testing.T, cmd *exec.Cmd) (said string, code int) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 10 * time.Second // for a daemon that keeps our pipes
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out.String())
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// eventually waits for foreign programs, which give no news.
func eventually(t *testing.T, what string, is func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := is()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited 30s for %s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// statusOf reads one line of a process's status in /proc.
func (m *machine) statusOf(pid, key string) string {
	m.t.Helper()
	lines := bufio.NewScanner(strings.NewReader(m.must("cat", "/proc/"+pid+"/status")))
	for lines.Scan() {
		if value, is := strings.CutPrefix(lines.Text(), key+":"); is {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	m.t.Fatalf("the status of %s has no %s", pid, key)
	return ""
}
