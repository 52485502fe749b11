package topology

import (
	"fmt"
	"strings"
	"time"
)

// A Daily is a time of day that comes back every day, in a time zone. The zero
// Daily is always.
type Daily struct {
	From, To int            // minutes after midnight on the wall; To before From is past midnight
	Zone     *time.Location // nil for always
}

// Always reports whether there is no time outside it.
func (d Daily) Always() bool { return d.Zone == nil }

// Next is the first moment from t on that is within it.
func (d Daily) Next(t time.Time) time.Time {
	if d.Always() {
		return t
	}
	local := t.In(d.Zone)
	for day := -1; ; day++ {
		begin, end := d.on(local, day)
		if end.After(t) {
			return laterOf(begin, t)
		}
	}
}

// on is when it begins and ends that begins on the day so many days after t's.
func (d Daily) on(t time.Time, days int) (begin, end time.Time) {
	begin, end = onWall(t, days, d.From, d.Zone), onWall(t, days, d.To, d.Zone)
	minutes := d.To - d.From
	if minutes <= 0 {
		end, minutes = onWall(t, days+1, d.To, d.Zone), minutes+24*60
	}
	if !end.After(begin) { // the clock skips all of it
		end = begin.Add(time.Duration(minutes) * time.Minute)
	}
	return begin, end
}

// onWall is the minute of the day so many days after t's, of which only the date
// counts. One that the clock skips, when summer time begins, comes as much later as it
// skips: time.Date says so in some zones, and in others that it comes before.
func onWall(t time.Time, days, minute int, zone *time.Location) time.Time {
	at := time.Date(t.Year(), t.Month(), t.Day()+days, 0, minute, 0, 0, zone)
	if at.Hour()*60+at.Minute() == minute {
		return at
	}
	_, before := at.Add(-12 * time.Hour).Zone()
	return time.Date(t.Year(), t.Month(), t.Day()+days, 0, minute, -before, 0, time.UTC).In(zone)
}

// String is "02:00-04:00 Europe/Berlin", or "" for always.
func (d Daily) String() string {
	if d.Always() {
		return ""
	}
	return fmt.Sprintf("%s-%s %s", clock(d.From), clock(d.To), d.Zone)
}

// Clause is ", between 02:00-04:00 Europe/Berlin", or "" for always.
func (d Daily) Clause() string {
	if d.Always() {
		return ""
	}
	return ", between " + d.String()
}

func clock(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }

// A Maintenance takes servers out of service at certain times.
type Maintenance struct {
	Servers []ServerName // sorted
	At      Moment       // when it begins
	For     time.Duration
	Reason  string // for people; may be ""
}

// A Moment is a time on the wall that comes once, every day, or on one day of the
// week.
type Moment struct {
	Minute  int       // after midnight
	Date    time.Time // midnight UTC of the one day; zero for one that comes back
	Weekday int       // 0 for Sunday to 6; -1 for every day; of no meaning with Date
	Zone    *time.Location
}

// String is as the file has it: "Sun 03:00", "daily 03:00", "2026-12-01 03:00".
func (m Moment) String() string {
	switch {
	case !m.Date.IsZero():
		return m.Date.Format(time.DateOnly) + " " + clock(m.Minute)
	case m.Weekday < 0:
		return "daily " + clock(m.Minute)
	default:
		return time.Weekday(m.Weekday).String()[:3] + " " + clock(m.Minute)
	}
}

// Until is when the maintenance ends that is under way at t; false if none is.
func (m Maintenance) Until(t time.Time) (time.Time, bool) {
	local := t.In(m.At.Zone)
	days := int(m.For/(24*time.Hour)) + 2 // no sooner can it have begun
	for day := -days; day <= 1; day++ {
		if begin, comes := m.At.on(local, day); comes && !begin.After(t) && begin.Add(m.For).After(t) {
			return begin.Add(m.For), true
		}
	}
	return time.Time{}, false
}

// Next is when the maintenance begins next after t; false if it does not again.
func (m Maintenance) Next(t time.Time) (time.Time, bool) {
	if !m.At.Date.IsZero() {
		begin, _ := m.At.on(m.At.Date, 0)
		return begin, begin.After(t)
	}
	local := t.In(m.At.Zone)
	for day := -1; ; day++ {
		if begin, comes := m.At.on(local, day); comes && begin.After(t) {
			return begin, true
		}
	}
}

// on is the moment on the day so many days after t's, and whether it comes on that
// day.
func (m Moment) on(t time.Time, days int) (time.Time, bool) {
	if !m.Date.IsZero() {
		return onWall(m.Date, 0, m.Minute, m.Zone), true
	}
	at := onWall(t, days, m.Minute, m.Zone)
	weekday := time.Date(t.Year(), t.Month(), t.Day()+days, 12, 0, 0, 0, time.UTC).Weekday()
	return at, m.Weekday < 0 || int(weekday) == m.Weekday
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// readZone reads the name of a time zone of the IANA database.
func readZone(c cursor) (*time.Location, bool) {
	const want = "a time zone such as Europe/Berlin or UTC"
	word, ok := c.word(want)
	if !ok {
		return nil, false
	}
	zone, err := time.LoadLocation(word)
	if err != nil || word == "" || word == "Local" {
		c.problem("expected %s, found %q, which is none of the IANA time zone database", want, shorten(word))
		return nil, false
	}
	return zone, true
}

// readClock reads "03:00", and is the minute after midnight.
func readClock(text string) (int, bool) {
	at, err := time.Parse("15:04", text)
	return at.Hour()*60 + at.Minute(), err == nil && len(text) == len("15:04")
}

// readDaily reads 02:00-04:00.
func readDaily(c cursor) (Daily, bool) {
	const want = "times of day such as 02:00-04:00"
	word, ok := c.word(want)
	if !ok {
		return Daily{}, false
	}
	first, last, _ := strings.Cut(word, "-")
	from, good := readClock(strings.TrimSpace(first))
	to, fine := readClock(strings.TrimSpace(last))
	switch {
	case !good || !fine:
		c.problem("expected %s, found %q", want, shorten(word))
	case from == to:
		c.problem("%s is no time at all; without the key it is always", word)
	default:
		return Daily{From: from, To: to, Zone: time.UTC}, true
	}
	return Daily{}, false
}
