package steer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// A Witness is what addresses that have nothing to do with the servers said last:
// whether the controller is cut off, or the servers are down.
type Witness struct {
	Heard time.Time // when the last question was asked that one of them answered
	Since time.Time // since when they have answered without a pause; zero for always
}

const (
	// fewest servers that fall together are a correlated failure. Two that fail at
	// once are bad luck, which standbys are for.
	fewest = 3
	// witnessPatience is how long a witness may take to answer before traffic that
	// waits for it is called frozen.
	witnessPatience = time.Second
)

// Frozen says why failure-driven moves would be withheld on the whole site, or "".
// An Assignment says so only where there is one to withhold, or servers are too few.
func (in *Input) Frozen() string {
	if in.Cohorts == nil {
		in.Cohorts = NewCohorts(in.Site, in.Apart()...)
	}
	return frozenText(in.frozen())
}

// frozenText says of the whole site what is frozen, why, and what to do.
func frozenText(many, together string) string {
	switch {
	case many != "":
		return "moves for failures are frozen: " + many
	case together != "":
		return "moves for failures are frozen: " + together + ": see what they share, and whether this controller is cut off; `routesteer resume` lets them move"
	default:
		return ""
	}
}

// frozen says that too many servers are lost, and that most were lost together.
func (in *Input) frozen() (many, together string) { return in.tooMany(), in.together() }

// tooMany says that more servers are lost than max_unavailable.
func (in *Input) tooMany() string {
	limit := in.Site.Policy.MaxUnavailable
	if limit == (topology.Share{}) {
		return ""
	}
	most := limit.Count
	if limit.Percent > 0 {
		most = len(in.Site.Servers) * limit.Percent / 100
	}
	lost, drained := in.unavailable()
	if lost+drained <= most {
		return ""
	}
	return fmt.Sprintf("%d of %d servers down and %d drained, more than max_unavailable (%d)", lost, len(in.Site.Servers), drained, most)
}

// unavailable counts the servers that are down or out of service for every VIP they may
// carry, as drained if they are down for none: by whose word they are, an operator's, the file's or
// their own, is no matter, but a weight of 0 is no word about today.
func (in *Input) unavailable() (lost, drained int) {
	for i, server := range in.Site.Servers {
		down, fit := false, len(in.Cohorts.by[i]) == 0
		for _, vip := range in.Cohorts.by[i] {
			out := in.Off(server.Name, vip) != "" && !in.Cohorts.idles(server.Name, vip)
			if fit = !out && in.verdict(server.Name, vip) != health.Down; fit {
				break
			}
			down = down || !out
		}
		switch {
		case in.Drained[server.Name] != "", !fit && !down:
			drained++
		case !fit:
			lost++
		}
	}
	return lost, drained
}

// together says that most servers of most VIPs fell within one fall period: that
// is more likely the fault of what they share, or of the controller's own sight,
// than theirs, and the few that are left would not stand the traffic of all.
func (in *Input) together() string {
	if in.Site.Policy.Correlated != topology.Freeze {
		return ""
	}
	period, all, struck := in.Site.FallPeriod(), in.Cohorts.entries, 0
	for _, vip := range in.fallible() {
		if in.mostFell(vip, period) {
			struck += len(vip.Entries)
		}
	}
	if 2*struck <= all {
		return ""
	}
	return fmt.Sprintf("most servers of %d of %d VIPs were lost within %s of each other", struck, all, period)
}

// fallible are the cohorts with a server that is down for any VIP, if as many are as it
// takes for a failure of most together.
func (in *Input) fallible() []*Cohort {
	summary, is := in.Health.(Summary)
	if !is {
		return in.Cohorts.all
	}
	fallen, theirs := 0, []*Cohort(nil)
	for i, server := range in.Site.Servers {
		if !summary.Standing(server.Name).Sound {
			fallen++
			theirs = append(theirs, in.Cohorts.by[i]...)
		}
	}
	if fallen < fewest {
		return nil
	}
	return distinct(theirs)
}

// mostFell reports whether most of the VIP's servers, and no fewer than fewest,
// went down within one period, since failures were last let through.
func (in *Input) mostFell(vip *Cohort, period time.Duration) bool {
	need := max(fewest, len(vip.seats)/2+1)
	left := len(vip.seats)
	if left < need {
		return false
	}
	since := make([]time.Time, 0, left)
	for _, tier := range vip.Tiers {
		for _, name := range tier.Servers {
			if in.verdict(name, vip) == health.Down && in.Off(name, vip) == "" {
				if state := in.state(name, vip); !in.resumed(state) {
					since = append(since, state.Since)
					continue
				}
			}
			if left--; left < need {
				return false
			}
		}
	}
	slices.SortFunc(since, time.Time.Compare)
	for i := range since[:len(since)-need+1] {
		if since[i+need-1].Sub(since[i]) <= period {
			return true
		}
	}
	return false
}

// resumed reports whether an operator let the failure move traffic: it was before
// that, or was found so by a controller, or by checks, that are new.
func (in *Input) resumed(state health.State) bool {
	return !in.Resumed.IsZero() && (state.Fell.IsZero() || !state.Since.After(in.Resumed))
}

// Recovered reports whether enough servers are up of so many VIPs that no failure of
// most together is left: an operator's Resumed has served its purpose.
func (in *Input) Recovered() bool {
	all, back := in.Cohorts.entries, 0
	for _, vip := range in.Cohorts.all {
		up := 0
		for _, name := range vip.Servers() {
			if in.verdict(name, vip) == health.Up || in.Off(name, vip) != "" {
				up++
			}
		}
		if len(vip.seats)-up < max(fewest, len(vip.seats)/2+1) {
			back += len(vip.Entries)
		}
	}
	return 2*back >= all
}

// withheld decides for a VIP whose servers may be lost in appearance only, and
// reports whether that is so. Who takes servers out of service is always obeyed.
func (d *decision) withheld(current []topology.ServerName, vip *Cohort) (Want, bool) {
	lost := d.leaving(current, vip)
	willed := func(name topology.ServerName) bool { return !vip.has(name) || d.Off(name, vip) != "" }
	if len(lost) == 0 || slices.ContainsFunc(lost, willed) {
		return Want{}, false
	}
	frozen := d.many
	// Who lost all has nothing left to spare, and nothing to lose.
	if frozen == "" && d.together != "" && d.previous[vip.index].Cause != KeptDown && d.AnyEligible(vip) {
		frozen = d.together
		d.want.frozen = frozenText(d.many, d.together)
	}
	if frozen != "" {
		return Want{Servers: current, Cause: Frozen, Why: d.lossOf(current, vip) + "; frozen: " + frozen, Frozen: true}, true
	}
	return d.unproven(current, lost, vip)
}

// unproven has a loss wait until a witness was heard after it: what made the
// servers silent may have made the controller deaf. After a silence of the
// witnesses a loss is believed that checks show since then.
func (d *decision) unproven(current, lost []topology.ServerName, vip *Cohort) (Want, bool) {
	witnesses := d.Site.Policy.Witness
	if len(witnesses) == 0 {
		return Want{}, false
	}
	doubtful, last := false, time.Time{}
	for _, name := range lost {
		state := d.state(name, vip)
		doubtful = doubtful || !d.Witness.Heard.After(state.Since) || state.LastCheck.Before(d.Witness.Since)
		last = later(last, state.Since)
	}
	if !doubtful {
		return Want{}, false
	}
	want := Want{Servers: current, Cause: Unproven, Why: d.lossOf(current, vip) + "; a witness is being asked whether this controller is cut off"}
	if due := last.Add(witnessPatience); d.Now.Before(due) {
		want.Next = due
		return want, true
	}
	words := make([]string, len(witnesses))
	for i, address := range witnesses {
		words[i] = address.String()
	}
	want.Frozen = true
	want.Why = fmt.Sprintf("%s, but no witness (%s) was heard since: this controller may be cut off", d.lossOf(current, vip), strings.Join(words, ", "))
	return want, true
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
