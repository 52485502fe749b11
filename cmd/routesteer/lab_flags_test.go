package main

import (
	"bytes"
	"strings"
	"testing"
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
		"lab report --repeat 0":       "from 1 to 1000",
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
