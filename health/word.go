package health

import (
	"fmt"
	"time"
)

// A Word is what a server asks for itself through an agent check. Its zero value
// asks for nothing.
type Word struct {
	Leave   bool   // to get no new traffic: drain, maint or 0 %. That is no failure.
	Percent int    // of its weight: 1 to 100; 0 when it has not said, or Leave
	Text    string // why, in the server's words, or which word it was; "" if it did not say
}

// Whole reports whether it leaves the server its whole share of the traffic.
func (w Word) Whole() bool { return !w.Leave && (w.Percent == 0 || w.Percent == 100) }

// Said is one answer of an agent. What it does not name stays as it was.
type Said struct {
	Leave   bool   // drain or maint
	Stay    bool   // ready: ends a Leave
	Weighs  bool   // Percent was said
	Percent int    // 0 to 100; 0 asks for no new traffic, until another is said
	Text    string // at most a line
}

// names reports whether it is about more than the verdict.
func (s Said) names() bool { return s.Leave || s.Stay || s.Weighs }

// percentPause is how long a percentage stays before another one counts, unless
// that is 0 %. Agents that tell their load tell another number each second, and
// each change of a weight moves traffic.
const percentPause = time.Minute

// spoken is what an agent has said so far. It is replaced, never changed: clones
// of a Board share it.
type spoken struct {
	leaves  bool
	weighs  bool
	percent int
	weighed time.Time // when percent changed
	text    string
	silent  int // checks in a row without an answer
}

// hear takes in what the agent said, or that it did not answer, and returns what
// is new about State.Word, in words; "" if nothing is. A new text alone is no
// news.
func (e *entry) hear(r Result) string {
	was := e.Word
	switch {
	case r.Said != nil:
		e.listen(*r.Said, r.Started)
	case e.agent == nil:
		return ""
	case !r.OK():
		e.missAgent()
	}
	switch now := e.Word; {
	case e.agent == nil && was != now:
		return "its agent is silent: what it asked for has ended"
	case now.Leave && !was.Leave:
		return "asks to be drained" + because(now.Text)
	case was.Leave && !now.Leave:
		return "asks for traffic again" + because(now.Text)
	case was.Percent != now.Percent:
		return fmt.Sprintf("asks for %d%% of its share", now.Percent) + because(now.Text)
	default:
		return ""
	}
}

// Heed takes in what a server asked for itself when it was checked before a move: that
// the check passed is no news, but that it asks for no new traffic is.
func (b *Board) Heed(r Result) []Flip {
	results := r.Parts
	if len(results) == 0 {
		results = []Result{r}
	}
	var flips []Flip
	for _, one := range results {
		e := b.entry(one.Target)
		if e == nil || one.Said == nil || one.Started.Before(e.floor) {
			continue
		}
		if why := e.hear(one); why != "" {
			flips = append(flips, Flip{Target: one.Target, From: e.Verdict, To: e.Verdict, At: one.Started.Add(one.Took), Why: why})
		}
	}
	return b.regroup(b.flipped(flips))
}

func because(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// listen takes in an answer.
func (e *entry) listen(said Said, at time.Time) {
	a := spoken{}
	if e.agent != nil {
		a = *e.agent
	}
	a.silent = 0
	if said.Leave || said.Stay {
		a.leaves = said.Leave
	}
	if said.Weighs && said.Percent != a.percent && (!a.weighs || said.Percent == 0 || at.Sub(a.weighed) >= percentPause) {
		a.percent, a.weighed = said.Percent, at
	}
	a.weighs = a.weighs || said.Weighs
	if said.names() {
		a.text = said.Text
	}
	e.agent, e.Word = &a, a.word()
}

func (a spoken) word() Word {
	w := Word{Leave: a.leaves || a.weighs && a.percent == 0, Text: a.text}
	if !w.Leave {
		w.Percent = a.percent
	}
	return w
}

// missAgent counts a check without an answer. After as many as bring a verdict
// down the word ends: a machine that went away for its maintenance and has come
// back is not bound by what it said before.
func (e *entry) missAgent() {
	a := *e.agent
	a.silent++
	e.agent = &a
	if a.silent >= e.check.Fall {
		e.agent, e.Word = nil, Word{}
	}
}
