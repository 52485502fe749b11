package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/internal/lab"
)

// What a lab cannot be is refused before anything is built.
func TestLabFlagsSayWhatIsPossible(t *testing.T) {
	for line, want := range map[string]string{
		"lab --vips 0":                "from 1 to 10000",
		"lab --servers 201":           "from 1 to 200",
		"lab --servers many":          "from 1 to 200",
		"lab --links wireless":        "switched or direct",
		"lab --profile slow":          "default or fast",
		"lab --ipv6=maybe":            "true or false",
		"lab report --links direct":   "unknown flag",
		"lab report --id 2":           "unknown flag",
		"lab soak --id 2":             "unknown flag",
		"lab report --repeat 0":       "from 1 to 1000",
		"lab report --established -1": "from 0 to 50000",
		"lab report --packets 0":      "from 1 to 200000",
		"lab soak --for -1s":          "longer than 0",
		"lab soak --busy -1":          "from 0",
		"lab soak --load heavy":       "auto or light or off",
		"lab soak --profile medium":   "default or fast",
		"lab report --profile medium": "default or fast",
	} {
		var stdout, stderr bytes.Buffer
		code := run(strings.Fields(line), strings.NewReader(""), &stdout, &stderr)
		if code != 1 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: exit %d, %q; want 1 and %q", line, code, stderr.String(), want)
		}
	}
}

// The banner's lines are there to be pasted.
func TestALabSaysHowToReachIt(t *testing.T) {
	got := labBanner(&lab.Lab{ID: 3, Paths: lab.PathsOf("/run", 3)})
	for _, want := range []string{
		"\n  export ROUTESTEER_SOCKET=" + lab.PathsOf("/run", 3).Socket + "\n",
		"\n  routesteer drain SERVER\n",
		"\n  routesteer lab crash|freeze|unplug|block|remove-vip|restore SERVER --id 3\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want in it %s", got, want)
		}
	}
}
