package lab

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// spareFiles is what a process of the lab has open beside established
// connections: a second of new ones with nobody answering, at the usual rate.
const spareFiles = 2_500

// allowFiles makes this process, and those that it starts from now on, able to
// hold that many established connections: the client all of them, and one
// server too when the others are away.
func allowFiles(established int) error {
	if established == 0 {
		return nil
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	need := uint64(established + spareFiles)
	if limit.Cur >= need {
		return nil
	}
	limit.Cur, limit.Max = need, max(need, limit.Max)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("allow %d open files for %d established connections: %w; raise the limit (ulimit -Hn) or ask for fewer connections", need, established, err)
	}
	return nil
}
