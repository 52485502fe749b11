package probe

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/routesteer/routesteer/health"
)

// maxAgentText is how much of an agent's text is kept.
const maxAgentText = 100

// An agentAnswer is what an agent's line means.
type agentAnswer struct {
	said    *health.Said // nil if it has no word of the protocol
	failure string       // "" if the server is up
	leaving string       // the word that asks for no new traffic; "" if none does
}

// parseAgent reads a line of HAProxy's agent-check protocol: words, apart by
// spaces, tabs or commas, in any order, and a text after "#" where a word could
// start. Of words that
// contradict each other the last one counts; those that are not known, or are
// about what we have not (maxconn), are passed over. A line without a word about
// up or down says up: the agent answers.
func parseAgent(line []byte) agentAnswer {
	words, text := cutText(string(line))
	a := agentAnswer{said: &health.Said{Text: plainText(text)}}
	known := false
	for word := range strings.FieldsFuncSeq(words, isAgentSpace) {
		known = a.take(strings.ToLower(word)) || known
	}
	switch {
	case strings.Trim(string(line), " \t,") == "":
		return agentAnswer{failure: "the agent said nothing"}
	case !known:
		return agentAnswer{failure: fmt.Sprintf("no word of the agent protocol in %.80q", line)}
	case a.failure != "" && a.said.Text != "":
		a.failure += ": " + a.said.Text
	}
	if a.said.Text == "" {
		a.said.Text = a.leaving
	}
	return a
}

// cutText parts the words from the text.
func cutText(line string) (words, text string) {
	for i, r := range line {
		if r == '#' && (i == 0 || isAgentSpace(rune(line[i-1]))) {
			return line[:i], line[i+1:]
		}
	}
	return line, ""
}

func isAgentSpace(r rune) bool { return r == ' ' || r == '\t' || r == ',' }

// take takes in one word, in small letters, and reports whether it is known.
func (a *agentAnswer) take(word string) bool {
	switch word {
	case "up":
		a.failure = ""
	case "down", "fail", "failed", "stopped":
		a.failure = "the agent says " + word
	case "drain", "maint":
		a.said.Leave, a.said.Stay, a.leaving = true, false, word
	case "ready":
		a.said.Leave, a.said.Stay, a.leaving = false, true, ""
	default:
		return a.takePercent(word) || strings.HasPrefix(word, "maxconn:")
	}
	return true
}

// takePercent takes in a percentage. One over 100 is all that there is.
func (a *agentAnswer) takePercent(word string) bool {
	digits, is := strings.CutSuffix(word, "%")
	if !is {
		return false
	}
	percent, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return false
	}
	a.said.Weighs, a.said.Percent = true, int(min(percent, 100))
	if percent == 0 {
		a.leaving = word
	}
	return true
}

// plainText is a text from the network as it can be shown: one line, not long,
// without control characters.
func plainText(text string) string {
	printable := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, text)
	runes := []rune(strings.TrimSpace(printable))
	if len(runes) > maxAgentText {
		runes = append(runes[:maxAgentText-1], '…')
	}
	return string(runes)
}
