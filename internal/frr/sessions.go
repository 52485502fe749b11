package frr

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// CutSessions kills the SSH server's processes for everyone who is logged in,
// and what they run, as a crash would; the server itself goes on. It returns
// how many processes that were.
func (r *Router) CutSessions() (int, error) {
	cut := 0
	// A process that is killed may have made another one meanwhile: until there
	// is none.
	for {
		all, err := r.processes()
		if err != nil {
			return cut, err
		}
		before := cut
		for _, p := range slices.DeleteFunc(all, r.stays) {
			err := syscall.Kill(p.pid, syscall.SIGKILL)
			if err != nil && !errors.Is(err, syscall.ESRCH) {
				return cut, fmt.Errorf("kill process %d of %s: %w", p.pid, r.name, err)
			}
			cut++
		}
		if cut == before {
			return cut, nil
		}
	}
}

// stays reports whether a process is none of a session's.
func (r *Router) stays(p process) bool {
	return p.pid == r.listener || !strings.HasPrefix(p.name, "sshd") && p.name != "vtysh"
}

// findListener notes which process is the SSH server's own, when nobody can
// have logged in yet.
func (r *Router) findListener() error {
	all, err := r.processes()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(p process) bool { return p.name == "sshd" })
	if i < 0 {
		return fmt.Errorf("no sshd among its processes: %v; %s", all, r.lastWords())
	}
	r.listener = all[i].pid
	return nil
}

// A process is one of a router's, with the number that it has outside.
type process struct {
	pid  int
	name string
}

// processes lists what runs in the router.
func (r *Router) processes() ([]process, error) {
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid_for_children", r.cmd.Process.Pid))
	if err != nil {
		return nil, fmt.Errorf("find the processes of %s: %w", r.name, err)
	}
	return processesIn(namespace)
}

// processesIn lists what runs in a process namespace. Processes that end
// meanwhile are left out.
func processesIn(namespace string) ([]process, error) {
	links, err := filepath.Glob("/proc/[0-9]*/ns/pid")
	if err != nil {
		return nil, err
	}
	var all []process
	for _, link := range links {
		if in, err := os.Readlink(link); err != nil || in != namespace {
			continue
		}
		if p, ok := readProcess(strings.Split(link, "/")[2]); ok {
			all = append(all, p)
		}
	}
	return all, nil
}

// readProcess reads /proc/PID/stat, see proc_pid_stat(5).
func readProcess(pid string) (process, bool) {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return process{}, false
	}
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return process{}, false
	}
	if strings.HasPrefix(string(stat[end+1:]), " Z") {
		return process{}, false // it has ended
	}
	number, err := strconv.Atoi(pid)
	return process{pid: number, name: string(stat[open+1 : end])}, err == nil
}
