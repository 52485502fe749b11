package main

import (
	"errors"
	"time"
)

// readPast reads when something was: a duration ago, a time of day that was last, a
// date, or a date and a time, as the clock here shows, or RFC 3339.
func readPast(word string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(word); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if at, err := time.ParseInLocation(layout, word, now.Location()); err == nil {
			hour, minute, second := at.Clock()
			at = time.Date(now.Year(), now.Month(), now.Day(), hour, minute, second, 0, now.Location())
			if at.After(now) {
				at = time.Date(now.Year(), now.Month(), now.Day()-1, hour, minute, second, 0, now.Location())
			}
			return at, nil
		}
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime, time.RFC3339Nano} {
		if at, err := time.ParseInLocation(layout, word, now.Location()); err == nil {
			return at, nil
		}
	}
	return time.Time{}, errors.New("want a duration such as 2h, a time such as 05:00, \"2026-12-01 05:00\" or 2026-12-01T05:00:00Z, or a sequence number")
}
