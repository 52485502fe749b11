package controller

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/steer"
)

var (
	ours    = []steer.NextHop{{Address: netip.MustParseAddr("192.0.2.11"), Weight: 1}}
	theirs  = []steer.NextHop{{Address: netip.MustParseAddr("192.0.2.14"), Weight: 1}}
	noon    = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	fought4 = netip.MustParsePrefix("203.0.113.32/27")
)

func repair(prefixes ...netip.Prefix) []steer.Change {
	return []steer.Change{{Op: steer.Replace, Prefixes: prefixes, From: theirs, To: ours}}
}

// TestFightsAgreeWithTheirRule plays repairs at drawn times beside the rule as it
// is written: left alone after five repairs within a minute, tried again after
// five quiet minutes.
func TestFightsAgreeWithTheirRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, now := newFights(), noon
		var repairs []time.Time
		alone := time.Time{}
		for range rapid.IntRange(1, 60).Draw(t, "repairs") {
			now = now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "pause")) * time.Second)
			if rapid.IntRange(0, 9).Draw(t, "tidy") == 0 {
				f.forget(now)
			}
			held := len(f.hold(repair(fought4), now)) == 0
			if want := !alone.IsZero(); held != want {
				t.Fatalf("held %t, want %t; repairs at %v", held, want, repairs)
			}
			if held {
				// Only the first look after it was left alone sees another route.
				return
			}
			f.count(repair(fought4), now)
			repairs = append(repairs, now)
			if n := len(repairs); n >= fightLimit && now.Sub(repairs[n-fightLimit]) <= fightWindow {
				alone = now
			}
		}
	})
}

func TestOnlyThePrefixThatIsFoughtForIsHeld(t *testing.T) {
	other := netip.MustParsePrefix("203.0.113.64/27")
	f := newFights()
	for i := range fightLimit {
		f.count(repair(fought4), noon.Add(time.Duration(i)*time.Second))
	}
	rest := f.hold(repair(fought4, other), noon.Add(fightLimit*time.Second))
	if len(rest) != 1 || len(rest[0].Prefixes) != 1 || rest[0].Prefixes[0] != other {
		t.Errorf("left to do: %v", rest)
	}
}

func TestWhatNoLongerCountsIsForgotten(t *testing.T) {
	f := newFights()
	f.count(repair(many(1000)...), noon)
	f.forget(noon.Add(fightWindow))
	if len(f.repairs) != 1000 {
		t.Errorf("%d prefixes are remembered within the minute, want 1000", len(f.repairs))
	}
	f.forget(noon.Add(fightWindow + time.Second))
	if len(f.repairs) != 0 {
		t.Errorf("%d prefixes are remembered after the minute", len(f.repairs))
	}
}

func many(n int) []netip.Prefix {
	prefixes := make([]netip.Prefix, n)
	for i := range prefixes {
		prefixes[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
	}
	return prefixes
}

// BenchmarkFights measures what the accounting of a repair of all prefixes costs,
// and what an order costs at rest and while one prefix is left alone.
func BenchmarkFights(b *testing.B) {
	const n = 100_000
	all := repair(many(n)...)
	b.Run(fmt.Sprintf("repair/prefixes=%d", n), func(b *testing.B) {
		for b.Loop() {
			newFights().count(all, noon)
		}
	})
	b.Run(fmt.Sprintf("order at rest/prefixes=%d", n), func(b *testing.B) {
		f := newFights()
		for b.Loop() {
			f.hold(all, noon)
		}
	})
	b.Run(fmt.Sprintf("order beside a fight/prefixes=%d", n), func(b *testing.B) {
		f := newFights()
		for range fightLimit {
			f.count(repair(all[0].Prefixes[0]), noon)
		}
		for b.Loop() {
			f.hold(all, noon)
		}
	})
}

// A plan asks what would be held, of a copy: that must not be taken for the look that finds
// the other program quiet, or at work again.
func TestWhatACloneIsAskedChangesNothing(t *testing.T) {
	f := newFights()
	for i := range fightLimit {
		f.count(repair(fought4), noon.Add(time.Duration(i)*time.Second))
	}
	f.hold(repair(fought4), noon)
	for _, moment := range []time.Time{noon, noon.Add(quietFirst + time.Minute)} {
		f.clone().hold(repair(fought4), moment)
		f.clone().hold([]steer.Change{{Op: steer.Replace, Prefixes: []netip.Prefix{fought4}, From: ours, To: theirs}}, moment)
	}
	if held := len(f.hold(repair(fought4), noon.Add(time.Minute))) == 0; !held {
		t.Error("it is not held any more")
	}
	if held := len(f.hold(repair(fought4), noon.Add(quietFirst+time.Second))) == 0; held {
		t.Error("it is held for longer, though it was quiet")
	}
}
