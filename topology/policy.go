package topology

import (
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
func readPolicy(c cursor) (Policy, bool) {
	policy := defaultPolicy()
	f, ok := c.fields(policyObject, "a mapping with failback, on_all_down, max_unavailable, drain_timeout, …")
	if !ok {
		return policy, false
	}
	ok = set(f, "failback", &policy.Failback, readFailback)
	ok = setChoice(f, "on_all_down", &policy.OnAllDown, Keep, Withdraw) && ok
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
	f, ok := c.fields(failbackObject, "{after: 60s}, or one of immediate, manual, never")
	if !ok {
		return failback, false
	}
	return failback, setDuration(f, "after", &failback.After, time.Millisecond, maxFailback)
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
