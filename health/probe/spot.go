package probe

import "time"

// A spot is one address of a target, checked again and again: on the loop or,
// when its kind of check has to wait, in a goroutine. The loop uses it.
type spot struct {
	loop    *loop
	plain   *plain  // or
	checker checker //
	leash   *leash  // of the checker's run
}

// start makes a check, which ends by done, on the loop, at its timeout at the
// latest. No other check is started before.
func (s *spot) start(a aim, began time.Time, done func(error)) {
	if s.plain != nil {
		s.plain.start(a, began, done)
		return
	}
	l := &leash{}
	s.leash = l
	go func() { // it ends by its timeout, or the leash; who stops a target waits for done
		err := s.checker.run(l, a)
		s.loop.post(func() { done(err) })
	}()
}

// expire is called when the check's time is up. Checkers look after that themselves.
func (s *spot) expire(now time.Time) {
	if s.plain != nil {
		s.plain.expire(now)
	}
}

// cancel breaks the check off, if there is one: it ends, soon, with errCut.
func (s *spot) cancel() {
	switch {
	case s.plain != nil:
		s.plain.cancel()
	case s.leash != nil:
		s.leash.end()
	}
}

// remark is what there is to tell of the last check, which has ended.
func (s *spot) remark() remark {
	if r, able := s.checker.(remarker); able {
		return r.remark()
	}
	return remark{}
}

// close ends what is kept between checks.
func (s *spot) close() {
	if s.plain != nil {
		s.plain.drop()
		return
	}
	s.checker.close()
}
