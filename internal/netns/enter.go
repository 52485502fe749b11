package netns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// entered marks, in the environment, a process that Enter started.
const entered = "ROUTESTEER_USERNS"

// Enter makes sure that this process may make network namespaces. As root it
// returns at once. Otherwise it runs the same command again as root of a new
// user namespace, passes it the signals, and exits with its status; it
// returns only if that cannot be done, with what the operator can do.
func Enter() error {
	if unix.Geteuid() == 0 && mayUnshare() {
		return nil
	}
	if os.Getenv(entered) != "" {
		return errors.New("make network namespaces: still not allowed inside a user namespace; run as root")
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program's file: %w", err)
	}
	cmd := exec.Command(exe, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), entered+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// Pdeathsig fires when the starting thread ends: keep it.
	runtime.LockOSThread()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("make a user namespace, which takes the place of root: %w; "+
			"run as root, or allow it: sysctl -w user.max_user_namespaces=10000 "+
			"(Debian: kernel.unprivileged_userns_clone=1; Ubuntu: kernel.apparmor_restrict_unprivileged_userns=0)", err)
	}
	go func() {
		for s := range signals {
			// The terminal already gave Ctrl-C to the whole process group; a second
			// copy would count as the operator's second, impatient one.
			if s != os.Interrupt {
				_ = cmd.Process.Signal(s) // it has exited: Wait says so
			}
		}
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(max(exit.ExitCode(), 1))
	}
	if err != nil {
		return fmt.Errorf("run in a user namespace: %w", err)
	}
	os.Exit(0)
	return nil
}

// mayUnshare tries, in a thread that is thrown away, what New will do.
func mayUnshare() bool {
	n, err := New("trial")
	if err != nil {
		return false
	}
	return n.Close() == nil
}
