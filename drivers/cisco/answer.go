package cisco

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// maxQuote bounds how much of a router's words is in an error, in bytes.
const maxQuote = 400

var (
	// syslogLine is a message of the router's log that came in between:
	// "*Mar  1 00:01:02.003: %SYS-5-CONFIG_I: Configured from console by admin".
	syslogLine = regexp.MustCompile(`%[A-Z][A-Z0-9_]*(-[A-Z0-9_]+)*-[0-7]-[A-Z0-9_]+:`)
	// complaint is a line that says that a command was not done. No command says
	// that it was.
	complaint = regexp.MustCompile(`(?i)^(%|ERROR\b|Error:|Command rejected|Command authorization failed|Authorization failed|Configuration mode (is )?locked\b)`)
	// caret is the line under a command that shows where it went wrong.
	caret = regexp.MustCompile(`^\s*\^\s*$`)
	// harmless are complaints of what is already as wanted, and of what locks out
	// others while we configure.
	harmless = regexp.MustCompile(`(?i)^(%\s*No configuration changes to commit|%\s*No matching route to delete|%\s*Refusing to remove a non-existent route|Configuration mode locked exclusively\. The lock will be cleared)`)
	// locked are the words of a router that somebody else configures.
	locked = regexp.MustCompile(`(?i)configuration mode (is )?locked (exclusively )?by|exclusive configuration mode|configuration (database )?is (currently )?locked`)
)

// notThere are the words of a router that has no such route, or no static route
// at all: an answer, and no refusal.
var notThere = regexp.MustCompile(`(?i)not in table|route not found|no such configuration item`)

// A fault is a router's refusal, in its own words.
type fault struct {
	command string // that it refused
	words   string
}

func (f *fault) Error() string {
	return fmt.Sprintf("the router answers %q with %q", f.command, f.words)
}

// errLocked is a fault that passes when somebody else has done.
var errLocked = errors.New("somebody else holds the router's configuration")

// refused returns the fault that an answer tells of, nil if it tells of none.
func refused(command, answer string) error {
	found := false
	var said []string
	for _, raw := range strings.Split(answer, "\n") {
		text := strings.TrimSpace(raw)
		switch {
		case text == "" || syslogLine.MatchString(text) || harmless.MatchString(text):
			continue
		case caret.MatchString(raw):
			found = true
			continue
		case complaint.MatchString(text):
			found = true
		}
		said = append(said, text)
	}
	if !found {
		return nil
	}
	f := &fault{command, quote(strings.Join(said, " / "))}
	if locked.MatchString(answer) {
		return fmt.Errorf("%w: %w", errLocked, f)
	}
	return f
}

// quote shortens a router's words.
func quote(words string) string {
	if len(words) <= maxQuote {
		return words
	}
	return strings.ToValidUTF8(words[:maxQuote], "") + " …"
}

// visible is what a line shows after the cursor has gone back in it.
func visible(raw string) string {
	raw = strings.TrimRight(raw, "\r")
	raw = raw[strings.LastIndexByte(raw, '\r')+1:]
	if !strings.Contains(raw, "\b") {
		return raw
	}
	var shown []byte
	at := 0
	for i := range len(raw) {
		switch {
		case raw[i] == '\b':
			at = max(at-1, 0)
		case at < len(shown):
			shown[at] = raw[i]
			at++
		default:
			shown = append(shown, raw[i])
			at++
		}
	}
	return strings.TrimRight(string(shown), " ")
}

// cutEcho splits what came since a command was typed at its echo: before it is
// what was left of the last answer. found is false if the echo has not come.
func cutEcho(text, command string) (before, after string, found bool) {
	for rest := text; rest != ""; {
		raw, next, more := strings.Cut(rest, "\n")
		if more && isEcho(visible(raw), command) {
			return text[:len(text)-len(rest)], next, true
		}
		rest = next
	}
	return "", "", false
}

// minTail is how much of a command must be seen where the terminal has scrolled
// the line sideways.
const minTail = 8

// isEcho reports whether a line shows a command as it was typed, behind a prompt
// or alone.
func isEcho(shown, command string) bool {
	if prompt, ok := strings.CutSuffix(strings.TrimRight(shown, " "), command); ok {
		prompt = strings.TrimRight(prompt, " ")
		return prompt == "" || strings.HasSuffix(prompt, "#") || strings.HasSuffix(prompt, ">")
	}
	_, tail, scrolled := strings.Cut(shown, "$")
	return scrolled && len(tail) >= minTail && strings.HasSuffix(command, tail)
}

// pager is the words of a pager, and what wipes them out: the blanks that follow
// belong to the next line, which they indent.
var pager = regexp.MustCompile(`[ \t]?--\s?More\s?--[ \t]?(?:\x08+(?: +\x08+)?)?`)

// answerText is an answer as lines, without prompts, which lines of the log bring
// out again in the middle of it.
func answerText(raw, prompt string) string {
	prompt = strings.TrimRight(prompt, " ")
	var lines []string
	for line := range strings.SplitSeq(pager.ReplaceAllString(raw, ""), "\n") {
		if line = visible(line); prompt == "" || strings.TrimRight(line, " ") != prompt {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}
