package simulation

import (
	"container/heap"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// dice decide one event of a story.
type dice struct{ *rand.Rand }

func (d dice) between(a, b time.Duration) time.Duration {
	return a + time.Duration(d.Int64N(int64(b-a)))
}

func (d dice) server(site *topology.Site) topology.Server {
	return site.Servers[d.IntN(len(site.Servers))]
}

func (d dice) prefix(site *topology.Site) netip.Prefix {
	return site.VIPs[d.IntN(len(site.VIPs))].Prefix
}

// An event is something that happens in a story: to whom and how is decided by
// dice of its own, so that it is the same whichever others are left out.
type event struct {
	at   time.Duration
	kind string
	seed uint64
}

// A story is a site and what happens there, all of it from one seed.
type story struct {
	seed   uint64
	events []event
}

// newStory tells a story of an hour at most.
func newStory(seed uint64) story {
	random := dice{rand.New(rand.NewPCG(seed, 1))}
	pace := pick(random.Rand, 5*time.Second, 20*time.Second, time.Minute, 5*time.Minute, 10*time.Minute)
	s := story{seed: seed}
	at := random.between(0, 20*time.Second)
	for range 3 + random.IntN(12) {
		s.events = append(s.events, event{at, kinds[random.IntN(len(kinds))].name, random.Uint64()})
		at += time.Duration(random.ExpFloat64() * float64(pace))
	}
	return s
}

// only is the story with some of its events.
func (s story) only(keep []int) story {
	var events []event
	for _, i := range keep {
		events = append(events, s.events[i])
	}
	s.events = events
	return s
}

// A telling is a story while it goes on. Only its goroutine uses it.
type telling struct {
	*world
	coming agenda
	ends   map[int]func() // of what goes on
	next   int
}

// An agenda is what is to happen, the earliest first.
type agenda []appointment

type appointment struct {
	at time.Time
	do func()
}

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(appointment)) }
func (a *agenda) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	*a = (*a)[:last]
	return x
}

// later has something done after a time.
func (t *telling) later(d time.Duration, do func()) {
	heap.Push(&t.coming, appointment{time.Now().Add(d), do})
}

// until has something that goes on ended after a time, or at the story's end.
func (t *telling) until(d time.Duration, what string, end func()) {
	id := t.next
	t.next++
	t.ends[id] = func() {
		delete(t.ends, id)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.say(time.Now(), "", "over: %s", what)
		end()
	}
	t.later(d, func() {
		if t.ends[id] != nil {
			t.ends[id]()
		}
	})
}

// tell runs a story in fake time, and returns how it went.
func tell(t *testing.T, s story) *world {
	var w *world
	dir := t.TempDir()
	synctest.Test(t, func(*testing.T) {
		w = newWorld(s.seed, dir)
		(&telling{world: w, ends: map[int]func(){}}).run(s)
		w.figures.simulated = time.Since(w.began)
	})
	return w
}

func (t *telling) run(s story) {
	t.start()
	for _, e := range s.events {
		t.later(e.at, func() { t.happen(e) })
	}
	for len(t.coming) > 0 && t.whole() {
		next := heap.Pop(&t.coming).(appointment)
		time.Sleep(time.Until(next.at))
		next.do()
		synctest.Wait()
		t.check()
	}
	t.conclude()
	t.stop()
}

// whole reports whether no law is broken yet.
func (t *telling) whole() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.broken == nil
}

// happen makes an event happen.
func (t *telling) happen(e event) {
	t.figures.events++
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == e.kind })
	kinds[i].happen(t, dice{rand.New(rand.NewPCG(e.seed, 3))})
}
