package health_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/health"
)

// hear gives the board one answer of an agent a second, "silent" for none, and
// returns what is news, in words.
func hear(b *health.Board, from time.Time, answers ...any) []string {
	var news []string
	for i, answer := range answers {
		result := health.Result{Target: one, Started: from.Add(time.Duration(i) * time.Second)}
		switch answer := answer.(type) {
		case health.Said:
			result.Said = &answer
		case string:
			result.Failure = answer
		}
		for _, flip := range b.Observe(result) {
			if flip.From == flip.To {
				news = append(news, flip.Why)
			} else {
				news = append(news, flip.To.String())
			}
		}
	}
	return news
}

func TestWhatAnAgentAsksFor(t *testing.T) {
	type said = health.Said
	drain, ready := said{Leave: true, Text: "kernel"}, said{Stay: true}
	share := func(percent int) said { return said{Weighs: true, Percent: percent} }
	for _, c := range []struct {
		name    string
		answers []any
		news    []string
		word    health.Word
	}{
		{"up asks for nothing", []any{said{}, said{}}, []string{"up"}, health.Word{}},
		{"drain is no failure, and counts at once", []any{drain, drain}, []string{"asks to be drained: kernel", "up"}, health.Word{Leave: true, Text: "kernel"}},
		{"up does not end a drain", []any{drain, said{}}, []string{"asks to be drained: kernel", "up"}, health.Word{Leave: true, Text: "kernel"}},
		{"ready does", []any{drain, ready}, []string{"asks to be drained: kernel", "up", "asks for traffic again"}, health.Word{}},
		{"another text is no news", []any{drain, said{Leave: true, Text: "firmware"}}, []string{"asks to be drained: kernel", "up"}, health.Word{Leave: true, Text: "firmware"}},
		{"a share", []any{share(50), said{}}, []string{"asks for 50% of its share", "up"}, health.Word{Percent: 50}},
		{"no share is a drain", []any{share(0), said{}}, []string{"asks to be drained", "up"}, health.Word{Leave: true}},
		{"a share does not end a drain", []any{drain, share(50)}, []string{"asks to be drained: kernel", "up"}, health.Word{Leave: true}},
		{"the share is kept over a drain", []any{share(50), drain, ready}, []string{"asks for 50% of its share", "up", "asks to be drained: kernel", "asks for traffic again"}, health.Word{Percent: 50}},
		{"a share that changes soon waits", []any{share(50), share(60)}, []string{"asks for 50% of its share", "up"}, health.Word{Percent: 50}},
		{"but not for no share", []any{share(50), share(0)}, []string{"asks for 50% of its share", "up", "asks to be drained"}, health.Word{Leave: true}},
		{"two silent checks keep the word", []any{drain, said{}, "silent", "silent"}, []string{"asks to be drained: kernel", "up"}, health.Word{Leave: true, Text: "kernel"}},
		{"three end it, and are a failure", []any{drain, said{}, "silent", "silent", "silent"},
			[]string{"asks to be drained: kernel", "up", "down", "its agent is silent: what it asked for has ended"}, health.Word{}},
		{"an answer between starts the count anew", []any{drain, said{}, "silent", "silent", said{}, "silent", "silent"},
			[]string{"asks to be drained: kernel", "up"}, health.Word{Leave: true, Text: "kernel"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := health.NewBoard(newSite(web1))
			if got := hear(b, noon, c.answers...); !slices.Equal(got, c.news) {
				t.Errorf("news %q, want %q", got, c.news)
			}
			if got := b.State(one).Word; got != c.word {
				t.Errorf("word %+v, want %+v", got, c.word)
			}
		})
	}
}

func TestAShareThatFlapsChangesOnceAMinute(t *testing.T) {
	b := health.NewBoard(newSite(web1))
	var answers []any
	for i := range 600 {
		answers = append(answers, health.Said{Weighs: true, Percent: 40 + i%2})
	}
	// At 0 s, and then at odd seconds: 61, 122, …
	if got := len(hear(b, noon, answers...)); got < 9 || got > 11 {
		t.Errorf("%d pieces of news in ten minutes, want up and ten changes at most", got)
	}
}

func TestAWordIsKeptByAReloadAndByOtherNewsAndEndsWithItsCheck(t *testing.T) {
	site := newSite(web1)
	b := health.NewBoard(site)
	hear(b, noon, health.Said{Leave: true, Text: "kernel"}, health.Said{})
	want := health.Word{Leave: true, Text: "kernel"}
	b.Observe(health.Loss{Server: "web1", Address: web1, At: noon.Add(5 * time.Second), Failure: "no reply to 3 echoes"})
	feed(b, noon.Add(10*time.Second), "..") // results that say nothing
	b.SetSite(newSite(web1))
	clone := b.Clone()
	if got := b.State(one).Word; got != want {
		t.Errorf("word %+v, want %+v", got, want)
	}
	changed := newSite(web1)
	changed.Checks[0].Fall++
	b.SetSite(changed)
	if got := b.State(one).Word; got != (health.Word{}) {
		t.Errorf("with another check: word %+v, want none", got)
	}
	if got := clone.State(one).Word; got != want {
		t.Errorf("the clone's word is %+v, want %+v", got, want)
	}
}

// TestTheWordIsWhatTheAnswersSayOfIt compares the board with a reading of the
// whole history: the last of drain and ready counts, unless the agent was silent
// for as many checks as bring a verdict down since.
func TestTheWordIsWhatTheAnswersSayOfIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := health.NewBoard(newSite(web1))
		leaves, silent, history := false, 0, ""
		for i := range rapid.IntRange(1, 40).Draw(t, "answers") {
			r := health.Result{Target: one, Started: noon.Add(time.Duration(i) * time.Second)}
			was := b.State(one).Word.Leave
			word := rapid.SampledFrom([]string{"up", "down", "drain", "ready", "silent"}).Draw(t, "word")
			history += word + " "
			switch word {
			case "silent":
				r.Failure = "connection refused"
				if silent++; silent >= 3 {
					leaves = false
				}
			case "down":
				r.Failure = "the agent says down"
				fallthrough
			default:
				silent = 0
				r.Said = &health.Said{Leave: word == "drain", Stay: word == "ready"}
				leaves = word == "drain" || leaves && word != "ready"
			}
			words := 0
			for _, flip := range b.Observe(r) {
				if flip.From == flip.To {
					words++
				}
			}
			got := b.State(one).Word.Leave
			if got != leaves {
				t.Fatalf("after %s: leaves %v, want %v", history, got, leaves)
			}
			if (words == 1) != (got != was) || words > 1 {
				t.Fatalf("after %s: leaves %v, was %v, told %s", history, got, was, fmt.Sprint(words))
			}
		}
	})
}
