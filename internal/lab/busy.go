package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RunBusy is a process that keeps one core busy until ctx ends, at normal
// priority: another program on the controller's machine.
func RunBusy(ctx context.Context) {
	runtime.GOMAXPROCS(1)
	for ctx.Err() == nil {
		spin()
	}
}

// spin uses some milliseconds of a core.
func spin() {
	n := uint64(1)
	for range 10_000_000 {
		n = mix(n)
	}
	runtime.KeepAlive(n)
}

// startBusy starts processes that keep cores busy.
func (l *Lab) startBusy(count int) ([]*process, error) {
	var all []*process
	for i := range count {
		argv := append(slices.Clone(l.options.Node), "busy")
		p, err := startProcess(l.network.client, l.Paths.Dir, fmt.Sprintf("busy%d", i+1), argv, nil, nil)
		if err != nil {
			return nil, errors.Join(err, killAll(all))
		}
		all = append(all, p)
	}
	return all, nil
}

func killAll(processes []*process) error {
	var err error
	for _, p := range processes {
		err = errors.Join(err, p.kill())
	}
	return err
}

// A usage is what a process has used so far, as /proc tells.
type usage struct {
	cpu        time.Duration // its threads', in the kernel too
	rss, peak  float64       // resident memory in MiB, now and at most
	measuredAt time.Time
}

// usage reads what the process has used.
func (p *process) usage() (usage, error) {
	dir := filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid))
	u := usage{measuredAt: time.Now()}
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err == nil {
		u.cpu, err = parseCPU(string(stat))
	}
	if err != nil {
		return u, fmt.Errorf("read the CPU time of %s: %w", p.name, err)
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return u, fmt.Errorf("read the memory of %s: %w", p.name, err)
	}
	u.rss, u.peak = parseMiB(string(status), "VmRSS"), parseMiB(string(status), "VmHWM")
	return u, nil
}

// percent returns the CPU time since an earlier look, in percent of one core.
func (u usage) percent(since usage) float64 {
	return 100 * float64(u.cpu-since.cpu) / float64(u.measuredAt.Sub(since.measuredAt))
}

// clockTick is the unit of /proc/PID/stat: USER_HZ is 100 on all that Go runs on.
const clockTick = 10 * time.Millisecond

// parseCPU reads utime and stime, fields 14 and 15 of /proc/PID/stat. The
// second field, the program's name in parentheses, may have anything in it.
func parseCPU(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("%q has too few fields", stat)
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * clockTick, errors.Join(err1, err2)
}

// parseMiB reads a line of /proc/PID/status, which is in KiB; 0 without it.
func parseMiB(status, name string) float64 {
	for line := range strings.Lines(status) {
		words := strings.Fields(line)
		if len(words) == 3 && words[0] == name+":" {
			kib, _ := strconv.ParseFloat(words[1], 64) // the kernel writes a number there
			return kib / 1024
		}
	}
	return 0
}
