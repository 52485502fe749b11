package topology

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxDrain bounds drain_timeout: connections that last longer than a day
// outlast any patience.
const maxDrain = 24 * time.Hour

// maxFailback bounds failback.after. Who wants to wait longer wants manual.
const maxFailback = 24 * time.Hour

// readPolicy reads the section policy.
func (r *reader) readPolicy(c cursor) (Policy, bool) {
	policy := defaultPolicy()
	f, ok := c.fields(policyObject, "a mapping with failback, on_all_down, max_unavailable, drain_timeout, …")
	if !ok {
		return policy, false
	}
	ok = set(f, "failback", &policy.Failback, readFailback)
	ok = setChoice(f, "on_all_down", &policy.OnAllDown, Keep, Withdraw, FirstTier) && ok
	ok = setChoice(f, "correlated", &policy.Correlated, Freeze, Act) && ok
	ok = set(f, "witness", &policy.Witness, r.readWitness) && ok
	ok = set(f, "drain_reminder", &policy.DrainReminder, readReminder) && ok
	ok = set(f, "max_unavailable", &policy.MaxUnavailable, readShare) && ok
	return policy, readDrain(f, &policy.Drain) && ok
}

// readDrain reads the drain_ keys.
func readDrain(f fields, drain *Drain) bool {
	ok := setDuration(f, "drain_timeout", &drain.Timeout, time.Second, maxDrain)
	if _, given := f.get("drain_idle"); !given {
		drain.Idle = min(drain.Idle, drain.Timeout)
	}
	ok = setDuration(f, "drain_idle", &drain.Idle, time.Second, drain.Timeout) && ok
	return setChoice(f, "drain_udp", &drain.UDP, UDPNew, UDPSticky) && ok
}

// readFailback reads {after: 60s}, or a word.
func readFailback(c cursor) (Failback, bool) {
	failback := defaultFailback()
	if c.isWord() {
		if d, err := time.ParseDuration(c.node.Value); err == nil && d > 0 {
			c.problem("expected {after: %s}, found %q", plain(d), c.node.Value)
			return failback, false
		}
		mode, ok := choice(c, FailbackImmediate, FailbackManual, FailbackNever)
		return Failback{Mode: mode}, ok
	}
	f, ok := c.fields(failbackObject, "{after: 60s}, {after: 60s, between: 02:00-04:00}, or one of immediate, manual, never")
	if !ok {
		return failback, false
	}
	ok = setDuration(f, "after", &failback.After, time.Millisecond, maxFailback)
	ok = set(f, "between", &failback.Between, readDaily) && ok
	zone, given := f.get("time_zone")
	_, daily := f.get("between")
	switch {
	case !given:
	case !daily:
		zone.problem("time_zone without between says nothing: write between: 02:00-04:00 besides")
		ok = false
	default:
		ok = set(f, "time_zone", &failback.Between.Zone, readZone) && ok
	}
	return failback, ok
}

// maxWitnesses bounds the addresses that are asked whether we are cut off.
const maxWitnesses = 16

// readWitness reads the addresses of witnesses.
func (r *reader) readWitness(c cursor) ([]netip.Addr, bool) {
	items, ok := c.words("an address, or a list of addresses such as [192.0.2.1, 192.0.2.254]")
	var all []netip.Addr
	for _, item := range items {
		address, good := item.nextHop()
		switch {
		case !good:
			ok = false
		case slices.Contains(all, address):
			item.problem("%s is given twice", address)
			ok = false
		default:
			all = append(all, address)
			r.witness = append(r.witness, item)
		}
	}
	if len(all) > maxWitnesses {
		c.problem("%d witnesses are more than %d", len(all), maxWitnesses)
		ok = false
	}
	return all, ok
}

// witnessesApart notes witnesses that could only say of a server what its own
// silence says.
func (r *reader) witnessesApart() {
	for i, address := range r.site.Policy.Witness {
		for _, s := range r.spots {
			if s.addr == address {
				r.witness[i].problem("%s is the address of server %s: a witness has to answer when the servers do not, as a router or a resolver does", address, s.server)
			}
		}
	}
}

// readReminder reads a duration, or never.
func readReminder(c cursor) (time.Duration, bool) {
	if c.isWord() && c.node.Value == "never" {
		return 0, true
	}
	return c.duration(time.Minute, 365*24*time.Hour)
}

// readShare reads a count of servers, or 50%.
func readShare(c cursor) (Share, bool) {
	const want = "a number of servers such as 2, or a share such as 50%"
	word, ok := c.word(want)
	if !ok {
		return Share{}, false
	}
	number, percent := strings.CutSuffix(word, "%")
	n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 16)
	switch {
	case err != nil:
		c.problem("expected %s, found %q", want, shorten(word))
	case n == 0:
		c.problem("%s would forbid every move; remove the key for no limit", word)
	case percent && n > 100:
		c.problem("%s is more than all servers", word)
	case percent:
		return Share{Percent: int(n)}, true
	default:
		return Share{Count: int(n)}, true
	}
	return Share{}, false
}
