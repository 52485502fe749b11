package topology

import (
	"maps"
	"slices"
	"time"
)

// Limits of a check's times. A shorter interval than the least is a flood, a
// longer one than the most is no watch.
const (
	minInterval = 10 * time.Millisecond
	maxInterval = time.Hour
	minTimeout  = time.Millisecond
	maxCount    = 100 // rise and fall
)

// readChecks reads the section checks, which may be absent.
func (r *reader) readChecks(f fields) {
	c, given := f.get("checks")
	if !given {
		return
	}
	for _, e := range names(c, "check", "a mapping of checks, such as web: {http: {path: /healthz}}") {
		name := CheckName(e.name)
		r.checks[name] = true
		f, ok := e.value.fields(checkObject, "a mapping with one of "+kindList()+", such as {http: {path: /healthz}}")
		if !ok {
			continue
		}
		if len(f.given(append(groupKeys(), "of")...)) > 0 {
			r.readGroup(name, f)
			continue
		}
		if check, ok := readCheck(name, f); ok {
			r.site.Checks = append(r.site.Checks, check)
		}
	}
	r.completeGroups()
}

// useCheck makes sure that the check of a VIP exists. The built-in one comes
// into being by being used.
func (r *reader) useCheck(c cursor, name CheckName) {
	if r.checks[name] {
		return
	}
	if name == defaultCheckName {
		r.checks[name] = true
		r.site.Checks = append(r.site.Checks, builtinCheck())
		return
	}
	known := []string{string(defaultCheckName)}
	for check := range maps.Keys(r.checks) {
		known = append(known, string(check))
	}
	c.unknown("check", shorten(string(name)), known)
}

// readCheck reads one check.
func readCheck(name CheckName, f fields) (Check, bool) {
	check := defaultCheck(name)
	ok := readKind(&check, f)
	ok = readTimes(&check, f) && ok
	ok = setInt(f, "rise", &check.Rise, 1, maxCount) && ok
	ok = setInt(f, "fall", &check.Fall, 1, maxCount) && ok
	ok = setChoice(f, "through", &check.Through, ThroughVIP, ThroughAddress) && ok
	ok = setBool(f, "watch", &check.Watch) && ok
	check.Watch = check.Watch && check.holds()
	return check, ok
}

// holds reports whether there is a connection to hold to what is checked.
func (c Check) holds() bool { return c.HTTP != nil || c.TCP != nil || c.TLS != nil || c.GRPC != nil }

// readTimes reads the intervals and timeout, which belong together. A default
// follows the interval that the file gives.
func readTimes(check *Check, f fields) bool {
	ok := setDuration(f, "interval", &check.Interval, minInterval, maxInterval)
	check.FastInterval = min(check.FastInterval, check.Interval)
	check.Timeout = min(check.Timeout, check.Interval)
	check.StandbyInterval = max(check.StandbyInterval, check.Interval)
	fast := setDuration(f, "fast_interval", &check.FastInterval, minInterval, maxInterval)
	standby := setDuration(f, "standby_interval", &check.StandbyInterval, minInterval, maxInterval)
	limit := setDuration(f, "timeout", &check.Timeout, minTimeout, maxInterval)
	if ok && fast && check.FastInterval > check.Interval {
		f.values["fast_interval"].value.problem("fast_interval %s is longer than interval %s", plain(check.FastInterval), plain(check.Interval))
		fast = false
	}
	if ok && standby && check.StandbyInterval < check.Interval {
		f.values["standby_interval"].value.problem("standby_interval %s is shorter than interval %s: what carries traffic is checked at least as often as what does not",
			plain(check.StandbyInterval), plain(check.Interval))
		standby = false
	}
	if ok && limit && check.Timeout > check.Interval {
		f.values["timeout"].value.problem("timeout %s is longer than interval %s: a check would still run when the next starts",
			plain(check.Timeout), plain(check.Interval))
		limit = false
	}
	return ok && fast && standby && limit
}

// readKind reads the one key that says how to probe.
func readKind(check *Check, f fields) bool {
	given := f.given(checkKinds()...)
	if len(given) == 0 {
		f.missing(checkKinds(), "check %s does not say how to probe: write one of %s", check.Name, kindList())
		return false
	}
	if len(given) > 1 {
		f.values[given[1]].key.problem("check %s is both %s and %s: make two checks of it", check.Name, given[0], given[1])
		return false
	}
	c, _ := f.get(given[0])
	switch given[0] {
	case "http":
		return set(f, "http", &check.HTTP, func(c cursor) (*HTTP, bool) { return readHTTP(c, false) })
	case "https":
		return set(f, "https", &check.HTTP, func(c cursor) (*HTTP, bool) { return readHTTP(c, true) })
	case "tcp":
		return set(f, "tcp", &check.TCP, readTCP)
	case "tls":
		return set(f, "tls", &check.TLS, readTLS)
	case "dns":
		return set(f, "dns", &check.DNS, readDNS)
	case "grpc":
		return set(f, "grpc", &check.GRPC, readGRPC)
	case "agent":
		return set(f, "agent", &check.Agent, readAgent)
	case "script":
		return set(f, "script", &check.Script, readScript)
	default:
		check.ICMP = &ICMP{}
		return readICMP(c)
	}
}

// readTCP reads a port, or a mapping with one: there is no default port.
func readTCP(c cursor) (*TCP, bool) {
	tcp := &TCP{}
	if c.isWord() {
		port, ok := c.integer(1, 65535)
		tcp.Port = uint16(port)
		return tcp, ok
	}
	if c.isNull() {
		c.problem("tcp needs a port, such as tcp: 443")
		return nil, false
	}
	f, ok := c.fields(tcpObject, "a port such as 443, or a mapping with port")
	if !ok || !needsPort(f, "tcp", "443") {
		return nil, false
	}
	return tcp, setInt(f, "port", &tcp.Port, 1, 65535)
}

// needsPort notes that a kind without a default port is given none.
func needsPort(f fields, kind, example string) bool {
	if len(f.given("port")) > 0 {
		return true
	}
	f.missing([]string{"port"}, "%s needs a port, such as %s: %s", kind, kind, example)
	return false
}

// readICMP reads an empty mapping, or nothing.
func readICMP(c cursor) bool {
	if c.isNull() {
		return true
	}
	_, ok := c.fields(icmpObject, "nothing, or an empty mapping")
	return ok
}

// readAlive reads the echo to each server: off, or a mapping.
func readAlive(c cursor) (Alive, bool) {
	alive := defaultAlive()
	if c.isWord() && slices.Contains([]string{"off", "false"}, c.node.Value) {
		alive.Off = true
		return alive, true
	}
	f, ok := c.fields(aliveObject, "off, or a mapping with interval and fall")
	if !ok {
		return alive, false
	}
	ok = setDuration(f, "interval", &alive.Interval, minInterval, maxInterval)
	ok = setInt(f, "fall", &alive.Fall, 1, maxCount) && ok
	return alive, ok
}
