package main

import (
	"time"

	"github.com/spf13/cobra"
)

// untilReboot is the word for the end of a drain that comes with the server's
// reboot.
const untilReboot = "reboot"

// readUntil reads when something is to end by itself: a duration from now, a time
// of day, a date and a time, both as the clock here shows, or RFC 3339.
func readUntil(command *cobra.Command, word string, now time.Time) (time.Time, error) {
	if word == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(word); err == nil && d > 0 {
		return now.Add(d).Round(time.Second), nil
	}
	if at, err := time.ParseInLocation("15:04", word, now.Location()); err == nil {
		at = time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), 0, 0, now.Location())
		if !at.After(now) {
			at = time.Date(now.Year(), now.Month(), now.Day()+1, at.Hour(), at.Minute(), 0, 0, now.Location())
		}
		return at, nil
	}
	for _, layout := range []string{"2006-01-02 15:04", time.RFC3339} {
		if at, err := time.ParseInLocation(layout, word, now.Location()); err == nil {
			return at, nil
		}
	}
	return time.Time{}, usageError(command, "until %q? want a duration such as 2h, a time such as 05:00, \"2026-12-01 05:00\" or 2026-12-01T05:00:00Z", word)
}
