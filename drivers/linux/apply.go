package linux

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/steer"
)

// applyTries is how often a plan is made anew because the kernel's nexthop
// objects turn out to be other than they were seen, or refuses one.
const applyTries = 4

// Apply makes the changes, each prefix in place. What the kernel refuses, or
// would touch a foreign route without Adopt, gives a *drivers.ChangeError and
// stops nothing else. When ctx ends, or the netlink socket fails, Apply stops,
// and what it did until then stays.
//
// With Adopt, the routes that Routes tells as Foreign give way to ours, except
// that of a connected network, which the kernel itself keeps. Remove never
// touches a foreign route. Stray entries of ours are removed once the right
// route stands.
//
// It goes by the last look, unless anything that concerns us has happened
// since: then it looks again.
func (d *Driver) Apply(ctx context.Context, changes []steer.Change) (int, error) {
	var (
		done int
		errs []error
	)
	for len(changes) > 0 {
		n := d.distinct(changes)
		tasks, err := d.applyDistinct(ctx, changes[:n])
		for _, t := range tasks {
			count, failed := t.outcome()
			done += count
			errs = append(errs, failed...)
		}
		if err != nil {
			return done, errors.Join(append(errs, err)...)
		}
		changes = changes[n:]
	}
	return done, errors.Join(errs...)
}

// distinct counts the changes up to one for a prefix that had one before,
// which has to wait for what that one comes to.
func (d *Driver) distinct(changes []steer.Change) int {
	var (
		wholes = map[*cohort]bool{}
		parts  = map[*cohort]bool{}
		seen   = map[netip.Prefix]bool{}
	)
	for i, c := range changes {
		if of := d.whole(c); of != nil {
			if wholes[of] || parts[of] {
				return i
			}
			wholes[of] = true
			continue
		}
		for _, p := range c.Prefixes {
			of := d.cohorts[p]
			if wholes[of] || seen[p] {
				return i
			}
			parts[of], seen[p] = true, true
		}
	}
	return len(changes)
}

// applyDistinct makes changes of which no two are for one prefix. err says why
// it had to stop.
func (d *Driver) applyDistinct(ctx context.Context, changes []steer.Change) ([]*task, error) {
	paths := d.newPaths()
	for try := 1; ; try++ {
		l, err := d.current(ctx)
		if err != nil {
			return nil, err
		}
		var (
			p     *plan
			again bool
		)
		err = d.requests.during(ctx, func() error {
			p = d.plan(l, changes, paths)
			p.repeated = try > 1
			d.prepareFlows(p)
			again, err = d.carryOut(p)
			return err
		})
		d.learn(p, err != nil || again)
		switch {
		case err != nil:
			return p.tasks, fmt.Errorf("change routes of table %d: %w", d.cfg.Table, err)
		case !again:
			d.tidy(ctx, p)
			return p.tasks, nil
		case try == applyTries:
			p.doubt(0)
			return p.tasks, fmt.Errorf("change routes of table %d: nexthop objects come and go while they are used; the next pass looks again", d.cfg.Table)
		}
	}
}

// learn brings the kept look up to date, which is easy when nothing but
// nexthop objects has changed; else the next one who needs it looks again.
func (d *Driver) learn(p *plan, unsure bool) {
	if unsure || len(p.aside)+len(p.write)+len(p.clean) > 0 {
		d.kept = nil
		return
	}
	if len(p.objects) == 0 {
		return
	}
	for _, o := range p.objects {
		p.look.objects[o.nexthop.id] = o.nexthop
	}
	p.look.index(d.cfg.Protocol)
	clear(p.look.faces)
}

// carryOut does what is planned. again tells that it should be planned anew,
// because of nexthop objects. The error says why it had to stop.
func (d *Driver) carryOut(p *plan) (again bool, err error) {
	stages := []func() error{
		func() error { return d.writeRoutes(&p.aside, (*task).settleAside) },
		func() error { return d.makeObjects(p) },
		func() error { return d.writeRoutes(&p.write, p.settleWrite) },
		func() error { return d.writeRoutes(&p.clean, (*task).settleClean) },
	}
	for i, stage := range stages {
		if err := stage(); err != nil {
			p.doubt(i)
			return false, err
		}
		if p.again {
			return true, nil
		}
	}
	return false, nil
}

// writeRoutes exchanges the messages of tasks and prefixes that have not
// failed.
func (d *Driver) writeRoutes(stage *[]write, settle func(*task, write, error)) error {
	*stage = slices.DeleteFunc(*stage, func(w write) bool { return w.task.failed(w.prefix) })
	writes := *stage
	return d.requests.exchange(len(writes),
		func(i int) message { return d.message(writes[i]) },
		func(i int, refused error) {
			writes[i].settled = true
			settle(writes[i].task, writes[i], refused)
		})
}

func (d *Driver) message(w write) message {
	if w.to == nil {
		return deleteRoute(entry{prefix: w.prefix, shape: w.old})
	}
	return d.writeRoute(w.prefix, *w.to, w.flags)
}

// makeObjects exchanges the messages of nexthop objects, in order: a group's
// members come before it.
func (d *Driver) makeObjects(p *plan) error {
	p.objects = slices.DeleteFunc(p.objects, func(o object) bool {
		return !slices.ContainsFunc(o.tasks, func(t *task) bool { return t.err == nil })
	})
	return d.requests.exchange(len(p.objects),
		func(i int) message { return p.objects[i].message() },
		func(i int, refused error) {
			p.objects[i].settled = true
			d.settleObject(p, p.objects[i], refused)
		})
}

// settleObject takes a refusal for a reason to plan anew: when the kernel's
// objects are not as they were seen, after another look, and when it takes no
// object, or not this one, with plain routes, which it then judges.
func (d *Driver) settleObject(p *plan, o object, refused error) {
	if refused == nil {
		return
	}
	p.again = true
	switch {
	case isAny(refused, unix.EOPNOTSUPP, unix.EPERM, unix.EACCES):
		if !d.plainOnly {
			d.log.Warn("the kernel takes no nexthop objects: moving many prefixes takes a message for each", "err", refused)
		}
		d.plainOnly = true
	case !p.repeated && (o.nexthop.members != nil || isAny(refused, unix.EEXIST, unix.ENOENT)): // another look
	default:
		d.log.Warn("the kernel refuses a nexthop object: routes are written one by one", "nexthop", steer.FormatNextHops(o.hops(p)), "err", refused)
		for _, h := range o.hops(p) {
			d.unfit[h.Address] = true
		}
	}
}
