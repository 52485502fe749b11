package controller

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/steer"
)

// refusals are the prefixes that err says were refused, and whether that is all that
// it says.
func refusals(err error) (refused map[netip.Prefix]bool, whole bool) {
	refused, whole = map[netip.Prefix]bool{}, true
	for _, e := range unjoin(err) {
		var change *drivers.ChangeError
		if !errors.As(e, &change) {
			whole = false
			continue
		}
		for _, prefix := range change.Change.Prefixes {
			refused[prefix] = true
		}
	}
	return refused, whole
}

// except returns what of the changes was not refused.
func except(changes []steer.Change, refused map[netip.Prefix]bool) []steer.Change {
	if len(refused) == 0 {
		return changes
	}
	var made []steer.Change
	for _, change := range changes {
		rest := slices.DeleteFunc(slices.Clone(change.Prefixes), func(p netip.Prefix) bool { return refused[p] })
		if len(rest) > 0 {
			made = append(made, change.For(rest...))
		}
	}
	return made
}

func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err != nil {
		return []error{err}
	}
	return nil
}
