package api

import "time"

// A Tally is what a controller has counted since it started.
type Tally struct {
	Checks  []CheckTally  // sorted by server and check
	Routers []RouterTally // sorted by router

	// Notifiers are in no order. They are counted since each was started or changed.
	Notifiers []NotifierTally
}

// A CheckTally counts the results of one check of one server, for whichever VIPs.
type CheckTally struct {
	Server, Check  string
	Passed, Failed uint64
	Took           Durations
}

// A NotifierTally is what one notifier has done.
type NotifierTally struct {
	Name      string
	Delivered uint64 // messages
	Failures  uint64 // of tries
	Dropped   uint64 // messages that were given up, or for which the queue was full
	Queued    int    // messages that wait
	Failing   bool   // the last try has failed
}

// A RouterTally counts how often a router was told to change routes.
type RouterTally struct {
	Router string
	Failed uint64 // of them, refused in part at least
	Took   Durations
}

// limits is how many limits Durations has.
const limits = 13

// Durations counts durations by how long they were. The zero value has counted
// none.
type Durations struct {
	Sum    time.Duration
	Counts [limits + 1]uint64 // up to each of Limits, and longer than all
}

// Limits are up to where each of Counts counts, in seconds: from a check on the same
// machine to one that times out.
func (Durations) Limits() [limits]float64 {
	return [limits]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
}

// Add counts one.
func (d *Durations) Add(took time.Duration) {
	d.Sum += took
	for i, limit := range d.Limits() {
		if took.Seconds() <= limit {
			d.Counts[i]++
			return
		}
	}
	d.Counts[limits]++
}

// Count is how many there were.
func (d Durations) Count() uint64 {
	all := uint64(0)
	for _, n := range d.Counts {
		all += n
	}
	return all
}
