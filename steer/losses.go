package steer

import (
	"slices"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// Losses tries what would be decided if servers were lost, time and again. One
// costs as much as there are cohorts that it concerns; Desired, which says the
// same, as much as there are cohorts. It is used by one goroutine at a time.
type Losses struct {
	in     Input // Previous is in force, and decided by what is known
	load   *load
	fallen int // servers that are down for a VIP
}

// NewLosses is for an Input whose Previous is the assignment in force, of
// in.Cohorts, by which nothing is left to move.
func NewLosses(in Input) *Losses {
	in.sheet = newSheet(in)
	in.Witness.Heard = in.Now.Add(time.Nanosecond) // who is lost is lost: what is tried is not whether it is believed
	l := &Losses{in: in, load: newLoad(in)}
	for i, server := range in.Site.Servers {
		if slices.ContainsFunc(in.Cohorts.by[i], func(vip *Cohort) bool { return in.verdict(server.Name, vip) == health.Down }) {
			l.fallen++
		}
	}
	return l
}

// A Loss is what would be without some servers.
type Loss struct {
	Input               // Previous is what would be decided
	Concerned []*Cohort // those of which the others stay as they are
	load      *load
}

// Without decides what would be if all checks of these servers failed. They are
// servers of the site that may carry a VIP.
func (l *Losses) Without(lost ...topology.ServerName) Loss {
	in := l.in
	in.Health = bereft{in.Health, lost, in.Now}
	in.sheet = l.in.sheet.without(in.Cohorts, lost)
	d := &decision{Input: in, previous: in.Previous.wants, load: l.load.without(lost)}
	d.want = Assignment{cohorts: in.Cohorts, wants: slices.Clone(d.previous), awake: in.Cohorts.all, load: d.load.count, gone: in.sheet.gone}
	d.many = in.tooMany()
	if l.fallen+len(lost) >= fewest {
		d.together = in.together()
	}
	after := Loss{Input: in, Concerned: in.Previous.concernedBy(lost), load: d.load}
	d.want.frozen = frozenText(d.many, "")
	d.decide(after.Concerned)
	after.Previous = d.want
	return after
}

// Shares counts what each server carries then, as the function of that name does.
func (l Loss) Shares() []Share { return shares(l.Input, l.load) }

// concernedBy are the cohorts that may move when servers are lost: those that have
// their traffic there, or would rather have it there, and those that do not simply
// stay where they are.
func (a Assignment) concernedBy(lost []topology.ServerName) []*Cohort {
	candidates := slices.Clone(a.awake)
	for _, name := range lost {
		candidates = append(candidates, a.cohorts.at(Place{Server: name})...)
	}
	return distinct(slices.DeleteFunc(candidates, func(cohort *Cohort) bool {
		want := a.wants[cohort.index]
		stays := (want.Cause == Settled || want.Cause == Pinned || want.Cause.moved()) && len(want.Servers) > 0
		return stays && !slices.ContainsFunc(lost, func(name topology.ServerName) bool { return cohort.concerns(name, want.Servers) })
	}))
}

// concerns reports whether a server has the traffic, or is of a better tier than
// those that have.
func (c *Cohort) concerns(name topology.ServerName, have []topology.ServerName) bool {
	if slices.Contains(have, name) {
		return true
	}
	now := tierOf(c, have[0])
	return now > 0 && tierOf(c, name) < now
}

// without is the load before anything is handed out, if servers take nothing.
func (l *load) without(servers []topology.ServerName) *load {
	less := l.clone()
	for _, name := range servers {
		if i := l.cohorts.place(name); !less.out[i] {
			less.out[i] = true
			less.total -= l.cohorts.site.Servers[i].Weight
		}
	}
	return less
}

func (l *load) clone() *load {
	return &load{cohorts: l.cohorts, count: slices.Clone(l.count), out: slices.Clone(l.out), vips: l.vips, total: l.total}
}

// A bereft is a Health without some servers.
type bereft struct {
	Health
	lost []topology.ServerName
	at   time.Time
}

func (b bereft) State(target health.Target) health.State {
	state := b.Health.State(target)
	if slices.Contains(b.lost, target.Server) {
		return health.State{Verdict: health.Down, Since: b.at, Fell: b.at, LastCheck: b.at, Why: "lost", Word: state.Word}
	}
	return state
}
