package flows

import (
	"errors"
	"fmt"

	"github.com/routesteer/routesteer/steer"
)

// Clear removes all that moves of any controller have left in a network
// namespace, as Open finds it, whatever is under way: connections that are left
// are cut. protocol marks our rules and routes. It returns what it removed, or
// with dry would remove, in words.
func Clear(ns int, protocol uint8, dry bool) (removed []string, err error) {
	k := &Keeper{options: Options{Protocol: protocol}}
	defer func() { err = errors.Join(err, k.Close()) }()
	if err := k.connect(ns); err != nil {
		return nil, fmt.Errorf("clear moves under way: %w", hint(err))
	}
	if err := k.ways.load(); err != nil {
		return nil, fmt.Errorf("clear moves under way: %w", err)
	}
	var failed []error
	for _, h := range k.halves {
		there, err := h.exists()
		failed = append(failed, err)
		if !there {
			continue
		}
		removed = append(removed, fmt.Sprintf("nftables table %s %s", h.family.word(), tableName))
		if !dry {
			failed = append(failed, h.drop())
		}
	}
	for _, a := range k.ways.sorted() {
		removed = append(removed, fmt.Sprintf("policy rule %d for mark %#x, and table %d to %s",
			rulePriority, a.mark(), a.table(), steer.FormatNextHops(a.hops)))
	}
	if !dry {
		failed = append(failed, k.ways.drop())
	}
	if err := errors.Join(failed...); err != nil {
		return removed, fmt.Errorf("clear moves under way: %w", hint(err))
	}
	return removed, nil
}
