package simulation

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var (
	minutes = flag.Int("minutes", 20_000, "to be simulated, at least")
	first   = flag.Uint64("first", 1, "seed of the first of many stories; 0 for others each time")
	seed    = flag.Uint64("seed", 0, "of the one story that is told; 0 tells many")
	only    = flag.String("only", "", "with -seed: numbers of the story's events that happen, such as 0,3,4; all without it")
)

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// TestStories tells stories until enough time has passed in them.
func TestStories(t *testing.T) {
	if *seed != 0 {
		retell(t)
		return
	}
	begin := *first
	if begin == 0 {
		begin = uint64(time.Now().UnixNano())
	}
	b := &bookkeeping{next: begin}
	t.Run("all", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				for b.more(t) {
					s := newStory(b.draw())
					w := tell(t, s)
					b.note(w.figures)
					if w.broken != nil {
						report(t, s, w)
						return
					}
				}
			})
		}
	})
	t.Logf("seeds from %d: %d stories, %s", begin, b.stories, b.total)
}

// bookkeeping is of stories that are told at the same time.
type bookkeeping struct {
	mu      sync.Mutex
	next    uint64
	stories int
	total   figures
}

func (b *bookkeeping) more(t *testing.T) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !t.Failed() && b.total.simulated < time.Duration(*minutes)*time.Minute
}

func (b *bookkeeping) draw() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	return b.next - 1
}

func (b *bookkeeping) note(f figures) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stories++
	b.total.add(f)
}

// retell tells the one story that was asked for.
func retell(t *testing.T) {
	s := newStory(*seed)
	if *only != "" {
		var keep []int
		for _, word := range strings.Split(*only, ",") {
			i, err := strconv.Atoi(word)
			if err != nil || i < 0 || i >= len(s.events) {
				t.Fatalf("-only %s: %q is none of the story's %d events", *only, word, len(s.events))
			}
			keep = append(keep, i)
		}
		s = s.only(keep)
	}
	w := tell(t, s)
	fmt.Fprint(os.Stdout, w.story())
	if w.broken != nil {
		t.Errorf("%s: %s", w.broken.law, w.broken.what)
	}
	t.Log(w.figures)
}

// report tells of a story that broke a law: the shortest that does.
func report(t *testing.T, s story, w *world) {
	keep := make([]int, len(s.events))
	for i := range keep {
		keep[i] = i
	}
	for i := 0; i < len(keep); {
		fewer := append(append([]int{}, keep[:i]...), keep[i+1:]...)
		if shorter := tell(t, s.only(fewer)); shorter.broken != nil && shorter.broken.law == w.broken.law {
			keep, w = fewer, shorter
		} else {
			i++
		}
	}
	words := make([]string, len(keep))
	for i, k := range keep {
		words[i] = strconv.Itoa(k)
	}
	t.Errorf("%s: %s\n%s\nagain: go test ./internal/simulation -run TestStories -args -seed %d -only %s",
		w.broken.law, w.broken.what, w.story(), s.seed, strings.Join(words, ","))
}
