package thread_test

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/internal/thread"
)

// TestNobodyIsOnTheMainThread asks for more threads than there are idle ones, from all that
// the scheduler has: the main thread is among these.
func TestNobodyIsOnTheMainThread(t *testing.T) {
	const many = 64
	release, at := make(chan struct{}), make(chan int, many)
	var done []<-chan struct{}
	for range many {
		done = append(done, thread.Alone(func() {
			at <- unix.Gettid()
			<-release
		}))
		runtime.Gosched()
	}
	seen := map[int]bool{}
	for range many {
		id := <-at
		if id == unix.Getpid() {
			t.Error("a function is on the main thread")
		}
		if seen[id] {
			t.Errorf("two functions are on thread %d", id)
		}
		seen[id] = true
	}
	close(release)
	for _, ended := range done {
		<-ended
	}
}
