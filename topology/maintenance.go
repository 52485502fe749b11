package topology

import (
	"slices"
	"strings"
	"time"
)

// Limits of a maintenance: shorter is a slip, longer is not maintenance.
const (
	minMaintenance = time.Minute
	maxMaintenance = 7 * 24 * time.Hour
)

// readMaintenance reads the section maintenance, which may be absent.
func (r *reader) readMaintenance(f fields) {
	c, given := f.get("maintenance")
	if !given {
		return
	}
	items, _ := c.list(`a list of maintenance windows, such as [{servers: [web1], at: "Sun 03:00", for: 1h}]`)
	for _, item := range items {
		if m, ok := r.readWindow(item); ok {
			r.site.Maintenance = append(r.site.Maintenance, m)
		}
	}
}

func (r *reader) readWindow(c cursor) (Maintenance, bool) {
	m := Maintenance{At: Moment{Zone: time.UTC}}
	f, ok := c.fields(windowObject, "a mapping with servers, at and for")
	if !ok {
		return m, false
	}
	for _, key := range []string{"servers", "at", "for"} {
		if _, given := f.get(key); !given {
			f.missing([]string{key}, `a maintenance window needs servers, at and for, such as {servers: [web1], at: "Sun 03:00", for: 1h}`)
			return m, false
		}
	}
	ok = set(f, "servers", &m.Servers, r.readSomeServers)
	ok = set(f, "at", &m.At, readMoment) && ok
	ok = setDuration(f, "for", &m.For, minMaintenance, maxMaintenance) && ok
	ok = set(f, "time_zone", &m.At.Zone, readZone) && ok
	ok = set(f, "reason", &m.Reason, func(c cursor) (string, bool) { return c.word("a few words for people") }) && ok
	return m, ok
}

// readSomeServers reads the names of known servers.
func (r *reader) readSomeServers(c cursor) ([]ServerName, bool) {
	items, ok := c.words("a server, or a list of servers such as [web1, web2]")
	var servers []ServerName
	for _, item := range items {
		word, good := item.word("the name of a server")
		if !good {
			return nil, false
		}
		if _, known := r.servers[ServerName(word)]; !known {
			item.unknown("server", shorten(word), r.serverNames())
			ok = false
		}
		servers = append(servers, ServerName(word))
	}
	slices.Sort(servers)
	return slices.Compact(servers), ok
}

// readMoment reads "Sun 03:00", "daily 03:00" or "2026-12-01 03:00".
func readMoment(c cursor) (Moment, bool) {
	const want = `a time such as "Sun 03:00", "daily 03:00" or "2026-12-01 03:00"`
	word, ok := c.word(want)
	if !ok {
		return Moment{}, false
	}
	day, at, _ := strings.Cut(word, " ")
	m := Moment{Zone: time.UTC, Weekday: -1}
	minute, good := readClock(at)
	m.Minute = minute
	if date, err := time.Parse(time.DateOnly, day); good && err == nil {
		m.Date = date
		return m, true
	}
	if good && day == "daily" {
		return m, true
	}
	m.Weekday = slices.IndexFunc(weekdays(), func(name string) bool { return strings.EqualFold(name, day) })
	if !good || m.Weekday < 0 {
		c.problem("expected %s, found %q", want, shorten(word))
		return m, false
	}
	return m, true
}

func weekdays() []string { return []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"} }
