package topology

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestADailyTimeComesEveryDay holds, in a zone with summer time too, that Next is
// within the time of day, not before what was asked for, and no later than a day.
func TestADailyTimeComesEveryDay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		daily := Daily{From: rapid.IntRange(0, 1439).Draw(t, "from"), Zone: rapid.SampledFrom([]*time.Location{time.UTC, berlin(t)}).Draw(t, "zone")}
		daily.To = (daily.From + rapid.IntRange(1, 1439).Draw(t, "minutes")) % 1440
		at := drawTime(t)
		next := daily.Next(at)
		if next.Before(at) || next.Sub(at) > 25*time.Hour {
			t.Fatalf("%s after %s is %s", daily, at, next)
		}
		if again := daily.Next(next); !again.Equal(next) {
			t.Fatalf("%s after %s is %s, which is not within it: %s", daily, at, next, again)
		}
		if local := next.In(daily.Zone); !next.Equal(at) && local.Hour()*60+local.Minute() != daily.From && !changesClock(local) {
			t.Fatalf("%s after %s begins at %s", daily, at, local)
		}
	})
}

// TestWhatTheClockSkipsComesAfter: on both sides of the Atlantic, and where summer time
// begins at midnight.
func TestWhatTheClockSkipsComesAfter(t *testing.T) {
	for _, c := range []struct {
		zone, eve, daily, begin, end string
	}{
		{"Europe/Berlin", "2026-03-28T12:00:00Z", "02:30-04:00", "Sun 03:30 +0200", "Sun 04:00 +0200"},
		{"America/New_York", "2026-03-07T18:00:00Z", "02:30-04:00", "Sun 03:30 -0400", "Sun 04:00 -0400"},
		{"America/New_York", "2026-03-07T18:00:00Z", "02:00-03:00", "Sun 03:00 -0400", "Sun 04:00 -0400"},
		{"America/New_York", "2026-03-08T05:30:00Z", "01:00-02:30", "Sun 01:00 -0500", "Sun 03:30 -0400"},
		{"America/Santiago", "2026-09-05T12:00:00Z", "00:30-01:00", "Sun 01:30 -0300", "Sun 02:00 -0300"},
		{"America/Santiago", "2026-09-05T12:00:00Z", "23:30-00:30", "Sat 23:30 -0400", "Sun 01:30 -0300"},
	} {
		zone, err := time.LoadLocation(c.zone)
		eve, _ := time.Parse(time.RFC3339, c.eve)
		if err != nil {
			t.Fatal(err)
		}
		first, last, _ := strings.Cut(c.daily, "-")
		from, _ := readClock(first)
		to, _ := readClock(last)
		daily := Daily{From: from, To: to, Zone: zone}
		const layout = "Mon 15:04 -0700"
		begin := daily.Next(eve)
		if text := begin.In(zone).Format(layout); text != c.begin {
			t.Errorf("%s begins at %s, want %s", daily, text, c.begin)
		}
		_, end := daily.on(begin.In(zone), 0)
		if text := end.In(zone).Format(layout); text != c.end {
			t.Errorf("%s ends at %s, want %s", daily, text, c.end)
		}
		m := Maintenance{At: Moment{Minute: from, Weekday: -1, Zone: zone}, For: time.Hour}
		if next, _ := m.Next(eve); !next.Equal(begin) {
			t.Errorf("a maintenance at %s begins at %s, want %s", daily, next, begin)
		}
	}
}

// TestAMaintenanceBeginsAndEnds holds that one is under way from each beginning
// on, for as long as the file says, and that Next finds the beginning.
func TestAMaintenanceBeginsAndEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		site := &Site{Servers: []Server{{Name: "web1"}}}
		m := drawMaintenance(t, site)
		at := drawTime(t)
		begin, comes := m.Next(at)
		if !comes {
			if m.At.Date.IsZero() {
				t.Fatalf("%s never comes again after %s", m.At, at)
			}
			return
		}
		if !begin.After(at) {
			t.Fatalf("%s after %s is %s", m.At, at, begin)
		}
		if _, early := m.Until(begin.Add(-time.Nanosecond)); early && m.For < 23*time.Hour {
			t.Fatalf("%s is under way before %s", m.At, begin)
		}
		end, under := m.Until(begin)
		if !under || end.Before(begin.Add(m.For)) && m.For < 23*time.Hour {
			t.Fatalf("%s of %s began at %s and is to end at %s (%t)", m.At, m.For, begin, end, under)
		}
		if local := begin.In(m.At.Zone); m.At.Date.IsZero() && m.At.Weekday >= 0 && int(local.Weekday()) != m.At.Weekday && !changesClock(local) {
			t.Fatalf("%s begins at %s", m.At, local)
		}
	})
}

func drawTime(t *rapid.T) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 3*365*24*3600).Draw(t, "time")) * time.Second)
}

// changesClock reports whether summer time begins or ends on that day: what is on
// the wall then is not what the file says.
func changesClock(t time.Time) bool {
	_, before := t.Add(-24 * time.Hour).Zone()
	_, after := t.Add(24 * time.Hour).Zone()
	return before != after
}
