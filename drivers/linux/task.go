package linux

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/steer"
)

// A task is one change, and what becomes of it.
type task struct {
	change  steer.Change
	to      []steer.NextHop        // change.To as it reads back
	err     error                  // why it did not take effect for any prefix
	refused map[netip.Prefix]error // why it did not for some
	unsure  map[netip.Prefix]bool  // whose fate is not known
}

func (t *task) refuse(p netip.Prefix, why error) {
	if t.refused == nil {
		t.refused = map[netip.Prefix]error{}
	}
	t.refused[p] = errors.Join(t.refused[p], why)
}

// failed reports whether it is known that the prefix is not as it should be.
func (t *task) failed(p netip.Prefix) bool { return t.err != nil || t.refused[p] != nil }

// settleAside notes the fate of a route that should have stepped aside: if it
// did not, its cohort's group must not move.
func (t *task) settleAside(w write, refused error) {
	if refused != nil && t.err == nil {
		t.err = fmt.Errorf("%s, which does not move with its cohort, cannot be given a route of its own: %w", w.prefix, explain(t.change, refused))
	}
}

// settleClean notes the fate of an entry that was in the way. One that is not
// there is as we want it.
func (t *task) settleClean(w write, refused error) {
	if refused != nil && !errors.Is(refused, unix.ESRCH) {
		t.refuse(w.prefix, fmt.Errorf("the route stands, but another entry in its way cannot be removed: %w", explain(t.change, refused)))
	}
}

// settleWrite notes the fate of a route, or of its removal.
func (p *plan) settleWrite(t *task, w write, refused error) {
	switch {
	case refused == nil, w.to == nil && errors.Is(refused, unix.ESRCH):
	case w.to != nil && w.to.object != 0 && errors.Is(refused, unix.EINVAL):
		p.again = true // the object has gone meanwhile
	default:
		t.refuse(w.prefix, explain(t.change, refused))
	}
}

// doubt notes that the fate of what was to be done from a stage of carryOut on
// is not known.
func (p *plan) doubt(stage int) {
	for i := range p.objects {
		if o := &p.objects[i]; stage < 1 || !o.settled {
			for _, t := range o.tasks {
				t.doubt(t.change.Prefixes...)
			}
		}
	}
	for _, writes := range [][]write{p.write, p.clean} {
		for _, w := range writes {
			if !w.settled {
				w.task.doubt(w.prefix)
			}
		}
	}
}

func (t *task) doubt(prefixes ...netip.Prefix) {
	if t.unsure == nil {
		t.unsure = map[netip.Prefix]bool{}
	}
	for _, p := range prefixes {
		if !t.failed(p) {
			t.unsure[p] = true
		}
	}
}

// outcome counts the prefixes for which the change took effect, and gives an
// error for each reason why it did not for others.
func (t *task) outcome() (done int, failed []error) {
	if t.err != nil {
		return 0, []error{&drivers.ChangeError{Change: t.change, Err: t.err}}
	}
	if len(t.refused) == 0 { // as ever: then it is not worth going through 100,000 prefixes
		return len(t.change.Prefixes) - len(t.unsure), nil
	}
	reasons := map[string]*drivers.ChangeError{}
	for _, p := range t.change.Prefixes {
		why := t.refused[p]
		if why == nil {
			continue
		}
		e := reasons[why.Error()]
		if e == nil {
			e = &drivers.ChangeError{Change: t.change.For(), Err: why}
			reasons[why.Error()] = e
			failed = append(failed, e)
		}
		e.Change.Prefixes = append(e.Change.Prefixes, p)
	}
	return len(t.change.Prefixes) - len(t.refused) - len(t.unsure), failed
}
