package web

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxThrottled bounds how many a throttle tells apart.
const maxThrottled = 4096

// A throttle bounds how often each of many may do something. It is safe for
// concurrent use.
type throttle[K comparable] struct {
	limit rate.Limit
	burst int

	mu     sync.Mutex
	of     map[K]*rate.Limiter
	others *rate.Limiter // shared by those that there is no room for
}

func newThrottle[K comparable](limit rate.Limit, burst int) *throttle[K] {
	return &throttle[K]{limit: limit, burst: burst, of: map[K]*rate.Limiter{}, others: rate.NewLimiter(limit, burst)}
}

// exhausted reports whether who has nothing left at a time.
func (t *throttle[K]) exhausted(who K, now time.Time) bool {
	return t.limiter(who, now).TokensAt(now) < 1
}

// take counts one, and reports whether it was still allowed.
func (t *throttle[K]) take(who K, now time.Time) bool { return t.limiter(who, now).AllowN(now, 1) }

func (t *throttle[K]) limiter(who K, now time.Time) *rate.Limiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	if limiter, known := t.of[who]; known {
		return limiter
	}
	if len(t.of) >= maxThrottled {
		t.forget(now)
	}
	if len(t.of) >= maxThrottled {
		return t.others
	}
	limiter := rate.NewLimiter(t.limit, t.burst)
	t.of[who] = limiter
	return limiter
}

// forget lets go of those who have been quiet: they would start anew as they are.
func (t *throttle[K]) forget(now time.Time) {
	for who, limiter := range t.of {
		if limiter.TokensAt(now) >= float64(t.burst) {
			delete(t.of, who)
		}
	}
}
