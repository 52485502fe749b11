package web

import (
	"testing"
	"time"
)

// TestABudgetIsSpentAtOnceAndThenByShare: two statuses in a row after a quiet time, and
// a tenth of a processor for whoever asks without end.
func TestABudgetIsSpentAtOnceAndThenByShare(t *testing.T) {
	now := time.Unix(0, 0)
	b := budget{credit: saving, at: now}
	spent := time.Duration(0)
	for made := 0; now.Before(time.Unix(60, 0)); made++ {
		wait := b.wait(now)
		if made < 3 && wait > 0 {
			t.Errorf("the %d. waits for %s", made+1, wait)
		}
		now = now.Add(wait)
		now = now.Add(100 * time.Millisecond) // it takes
		b.spend(100 * time.Millisecond)
		spent += 100 * time.Millisecond
	}
	if spent < 5*time.Second || spent > 7*time.Second {
		t.Errorf("%s were spent in a minute", spent)
	}
	b.spend(time.Minute)
	if wait := b.wait(now); wait > longest {
		t.Errorf("who asks waits for %s", wait)
	}
	if wait := b.wait(now.Add(time.Hour)); wait > 0 || b.credit != saving {
		t.Errorf("after an hour of quiet %s are saved", b.credit)
	}
}
