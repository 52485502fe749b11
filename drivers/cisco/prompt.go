package cisco

import (
	"regexp"
	"strings"
)

// What a router says when it waits, at the end of what it has said.
var (
	// promptLike is a last line that may be a prompt; banners have such lines too.
	promptLike = regexp.MustCompile(`(?:^|[\r\n])([^\r\n]*?[>#]) ?$`)
	// configPrompt is the prompt of configuration mode, of any name: some routers
	// shorten the name there, and a prompt that the operator has set is not used.
	configPrompt = `[^\r\n]*\(conf[^()\r\n]*\)# ?`
	// logged is lines of the log behind a prompt, which some routers do not bring
	// out again.
	logged = `(?:[\r\n]+[^\r\n]*` + syslogLine.String() + `[^\r\n]*)*[\r\n]*`

	passwordLike = regexp.MustCompile(`(?i)(?:^|[\r\n])[^\r\n]*(?:password|passcode)[^\r\n]*: ?$`)
)

// Kinds of what a session waits for: names of groups in its expression.
const (
	kindPrompt   = "prompt"
	kindPager    = "pager"
	kindQuestion = "question"
)

// waiting is the expression for all that a router waits with, once its prompt in
// exec mode is known.
func waiting(prompt string) *regexp.Regexp {
	prompt = string([]rune(prompt)) // expressions are UTF-8, and match what is none as U+FFFD
	return regexp.MustCompile(`(?:^|[\r\n])(?:` +
		`(?P<` + kindPrompt + `>` + regexp.QuoteMeta(prompt) + ` ?|` + configPrompt + `)` + logged +
		`|[^\r\n]*(?P<` + kindPager + `>--\s?[Mm]ore\s?-- ?)` +
		`|(?P<` + kindQuestion + `>[^\r\n]*(?:` +
		`\[confirm\]|\[y(?:es)?/n(?:o)?\]:?|\((?:y|yes)/(?:n|no)(?:/cancel)?\)(?:\??:?|\? ?\[\w+\]:?)|\?? ?\[(?:no|yes|cancel)\]:?|\[startup-config\]\?` +
		`) ?))$`)
}

// kind says which of them has matched, and its text.
func kind(re *regexp.Regexp, match []string) (name, text string) {
	for _, name := range []string{kindPrompt, kindPager, kindQuestion} {
		if i := re.SubexpIndex(name); i < len(match) && match[i] != "" {
			return name, match[i]
		}
	}
	return "", ""
}

// inConfig reports whether a prompt is that of configuration mode.
func inConfig(prompt string) bool {
	return strings.Contains(prompt, "(conf") && strings.HasSuffix(strings.TrimRight(prompt, " "), ")#")
}

// lastPrompt is the prompt that text ends with, without blanks after it; "" for
// none.
func lastPrompt(text string) string {
	match := promptLike.FindStringSubmatch(text)
	if match == nil {
		return ""
	}
	return match[1]
}
