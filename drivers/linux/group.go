package linux

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/steer"
)

// hopsOf are the next hops of a group once what is planned so far is done.
func (p *plan) hopsOf(group uint32) []steer.NextHop {
	if hops := p.groups[group]; hops != nil {
		return hops
	}
	return p.look.groupHops(group)
}

// makeGroup plans a new group for a cohort, or finds the one that an earlier
// task planned, if that goes to the same next hops. The id is 0, for plain
// routes, when it goes elsewhere, or when the range of ids is exhausted.
func (d *Driver) makeGroup(p *plan, t *task, of *cohort) uint32 {
	if at, planned := p.fresh[of]; planned {
		id := p.objects[at].nexthop.id
		if !slices.Equal(p.groups[id], t.to) {
			return 0
		}
		p.objects[at].need(t)
		return id
	}
	id := p.free()
	if id != 0 {
		d.writeObjects(p, t, id, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
		p.fresh[of] = len(p.objects) - 1
	}
	return id
}

// moveGroup plans to give a standing group the task's next hops. The type of
// an object cannot be changed: a cohort's is a group from the beginning, of one
// member if need be. That member is no other group's, and to move it moves the
// group, which for IPv6 takes the kernel half the time of replacing the group.
func (d *Driver) moveGroup(p *plan, t *task, group uint32) {
	own := p.onlyMember(group)
	if len(t.to) > 1 || own == 0 {
		d.writeObjects(p, t, group, unix.NLM_F_REPLACE)
		return
	}
	p.groups[group] = t.to
	d.writeSingle(p, t, own, t.to[0], unix.NLM_F_REPLACE)
}

// onlyMember returns the member of a group of one that is in no other group,
// 0 if it is not so.
func (p *plan) onlyMember(group uint32) uint32 {
	members := p.look.objects[group].members
	if len(members) != 1 || len(p.look.users[members[0].id]) != 1 {
		return 0
	}
	return members[0].id
}

func (d *Driver) writeObjects(p *plan, t *task, group uint32, flags uint16) {
	n := nexthop{id: group, protocol: d.cfg.Protocol, resilient: d.cfg.Resilient}
	for _, h := range t.to {
		n.members = append(n.members, member{id: d.single(p, t, group, h), weight: h.Weight})
	}
	p.groups[group] = t.to
	p.objects = append(p.objects, object{nexthop: n, flags: flags, tasks: []*task{t}})
}

// single returns the id of an object of one next hop for a group of the task's,
// and plans to make it, or to mend it when the next hop's network is no more on
// that interface.
func (d *Driver) single(p *plan, t *task, group uint32, h steer.NextHop) uint32 {
	alone := len(t.to) == 1
	if at, planned := p.singles[h.Address]; planned && !alone {
		p.objects[at].need(t)
		return p.objects[at].nexthop.id
	}
	for _, id := range p.look.singles[h.Address] {
		if !p.fits(id, group, alone) {
			continue
		}
		p.claims[id] = alone
		if p.look.objects[id].hop.iface != p.paths.towards(h.Address) {
			d.writeSingle(p, t, id, h, unix.NLM_F_REPLACE)
		}
		return id
	}
	id := p.free()
	if !alone {
		p.singles[h.Address] = len(p.objects)
	}
	d.writeSingle(p, t, id, h, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	return id
}

// fits reports whether a group may have the object as a member: alone, if no
// other group has it; beside others, if no other group has it alone.
func (p *plan) fits(id, group uint32, alone bool) bool {
	if claimed, is := p.claims[id]; is {
		return !alone && !claimed
	}
	return !slices.ContainsFunc(p.look.users[id], func(user uint32) bool {
		return user != group && (alone || len(p.look.objects[user].members) == 1)
	})
}

func (d *Driver) writeSingle(p *plan, t *task, id uint32, h steer.NextHop, flags uint16) {
	n := nexthop{id: id, protocol: d.cfg.Protocol, hop: hop{gateway: h.Address, weight: 1, iface: p.paths.towards(h.Address)}}
	p.objects = append(p.objects, object{nexthop: n, flags: flags, tasks: []*task{t}})
}

func (o *object) need(t *task) {
	if !slices.Contains(o.tasks, t) {
		o.tasks = append(o.tasks, t)
	}
}

// free gives out an id that no object has, 0 when there is none left.
func (p *plan) free() uint32 {
	for ; p.next <= lastObject; p.next++ {
		if _, taken := p.look.objects[p.next]; !taken {
			p.next++
			return p.next - 1
		}
	}
	return 0
}

// message is what makes the object.
func (o object) message() message {
	if o.nexthop.members != nil {
		return writeGroup(o.nexthop, o.flags)
	}
	return writeSingle(o.nexthop, o.flags)
}

// hops are the next hops that the object is for.
func (o object) hops(p *plan) []steer.NextHop {
	if o.nexthop.members != nil {
		return p.groups[o.nexthop.id]
	}
	return nextHops([]hop{o.nexthop.hop})
}
