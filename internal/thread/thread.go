// Package thread runs functions on operating-system threads of their own.
package thread

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Alone runs f on a thread that serves nothing else and ends with f, so that f may change
// what is a thread's own: its network namespace, its rights. The channel is closed when f
// has returned.
//
// It is never the main thread: that one does not end, and /proc/self is what it is, so
// whoever compares a namespace with the process's own would take f's for it.
func Alone(f func()) (done <-chan struct{}) {
	ended := make(chan struct{})
	go live(f, ended)
	return ended
}

func live(f func(), ended chan struct{}) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		go live(f, ended) // on another one, because this is held
		<-ended
		runtime.UnlockOSThread()
		return
	}
	// It is never unlocked, so that the thread ends with its goroutine.
	defer close(ended)
	f()
}
