package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/routesteer/routesteer/api"
)

// counted collects what the controller has counted.
type counted struct {
	*catalogue
	tally *api.Tally
}

// Describe implements prometheus.Collector, as state's does.
func (c counted) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c counted) Collect(out chan<- prometheus.Metric) {
	for _, check := range c.tally.Checks {
		out <- c.checks.of(float64(check.Passed), check.Server, check.Check, "passed")
		out <- c.checks.of(float64(check.Failed), check.Server, check.Check, "failed")
		out <- durations(c.checkTook, check.Took, check.Server, check.Check)
	}
	for _, router := range c.tally.Routers {
		out <- c.refusals.of(float64(router.Failed), router.Router)
		out <- durations(c.applied, router.Took, router.Router)
	}
	for _, n := range c.tally.Notifiers {
		out <- c.notified.of(float64(n.Delivered), n.Name, "delivered")
		out <- c.notified.of(float64(n.Dropped), n.Name, "dropped")
		out <- c.notifyFailures.of(float64(n.Failures), n.Name)
		out <- c.notifyWaiting.of(float64(n.Queued), n.Name)
		out <- c.notifyWell.of(good(!n.Failing), n.Name)
	}
}

// durations shows durations as a histogram.
func durations(m *metric, d api.Durations, labels ...string) prometheus.Metric {
	buckets := map[float64]uint64{}
	sum := uint64(0)
	for i, limit := range d.Limits() {
		sum += d.Counts[i]
		buckets[limit] = sum
	}
	return prometheus.MustNewConstHistogram(m.desc, d.Count(), d.Sum.Seconds(), buckets, labels...)
}
