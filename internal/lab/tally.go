package lab

import (
	"fmt"
	"time"
)

// maxTold bounds the failures that a tally remembers one by one.
const maxTold = 20

// A tally counts samples as they come and keeps none, so that it may last
// for days. The Load's lock guards it.
type tally struct {
	site             Site
	requests, failed int
	packets, lost    int
	talks, broken    int // requests on established connections, and those that were their last
	wrong, late      int
	latest           time.Duration // the largest lateness
	failures         []string      // the first ones, in words
}

// tally starts to count. It ends with the load.
func (l *Load) tally(site Site) *tally {
	t := &tally{site: site}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tallies = append(l.tallies, t)
	return t
}

func (t *tally) take(s Sample) {
	total, bad := &t.requests, &t.failed
	switch s.Kind {
	case HTTP, Open, Reopen:
	case UDP:
		total, bad = &t.packets, &t.lost
	case Talk:
		total, bad = &t.talks, &t.broken
	case Finish:
		return
	}
	*total++
	if s.Late > lateLimit {
		t.late++
	}
	t.latest = max(t.latest, s.Late)
	if s.Result == OK {
		return
	}
	*bad++
	if s.Result == Wrong {
		t.wrong++
	}
	if len(t.failures) < maxTold {
		t.failures = append(t.failures, t.tell(s))
	}
}

// tell says in words what failed.
func (t *tally) tell(s Sample) string {
	return fmt.Sprintf("%s %s to %s: %s after %.1f ms, started %.1f ms late", s.Start.Format(time.TimeOnly+".000"),
		s.Kind, t.site.VIPs[s.VIP].Address, s.Result, ms(s.Took), ms(s.Late))
}
