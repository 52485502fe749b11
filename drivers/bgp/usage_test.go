package bgp

import (
	"time"

	"golang.org/x/sys/unix"
)

// processorTime is what this process has had of the CPUs.
func processorTime() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// mostResident is the most memory that this process has ever had, in bytes.
func mostResident() int64 {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Maxrss << 10
}
