package cisco

import (
	"errors"
	"strings"
	"testing"
)

// TestRefusalsAreTold from what routers say without meaning no.
func TestRefusalsAreTold(t *testing.T) {
	for answer, want := range map[string]string{
		"": "",
		"Enter configuration commands, one per line.  End with CNTL/Z.\n":                                           "",
		"*Mar  1 00:01:02.003: %SYS-5-CONFIG_I: Configured from console by admin on vty0 (10.0.0.5)\n":              "",
		"%No matching route to delete\n":                                                                            "",
		"% Refusing to remove a non-existent route\n":                                                               "",
		"% No configuration changes to commit.\n":                                                                   "",
		"Configuration mode locked exclusively. The lock will be cleared once you exit out of configuration mode\n": "",
		"Static Route to 10.1.2.0/27 not installed currently because dependent config not fully available\n":        "",
		"                                     ^\n% Invalid input detected at '^' marker.\n":                         "Invalid input",
		"                ^\n":                                 "x",
		"%Inconsistent address and mask\n":                    "Inconsistent",
		"% Command incomplete: ip route\n":                    "incomplete",
		"Command authorization failed.\n":                     "authorization failed",
		"% Ambiguous command:  \"ip ro\"\n":                   "Ambiguous",
		"ERROR: % Invalid parameter\n":                        "Invalid parameter",
		"Command rejected: not a convenient slot\n":           "rejected",
		"% Configuration failed.\n\nError type: validation\n": "Error type: validation",
		"% Permission denied for the role\n":                  "Permission denied",
	} {
		err := refused("ip route x", answer)
		if want == "" && err != nil {
			t.Errorf("%q is taken for a refusal: %v", answer, err)
		}
		if want != "" && (err == nil || want != "x" && !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want a refusal with %q", answer, err, want)
		}
	}
}

// TestLocksAreTold from other refusals: they pass.
func TestLocksAreTold(t *testing.T) {
	for _, answer := range []string{
		"Configuration mode is locked by process '484' user 'NETCONF' from terminal '64'. Please try later.\n",
		"Configuration mode locked exclusively by user 'unknown' process '88' from terminal '0'. Please try later.\n",
		"% Error: User \"\" on line console0 is in exclusive configuration mode\n",
	} {
		if err := refused("configure terminal", answer); !errors.Is(err, errLocked) || !strings.Contains(err.Error(), strings.Fields(answer)[0]) {
			t.Errorf("%q: %v", answer, err)
		}
	}
}

// TestAnswersBeginAfterTheEcho however the terminal shows it.
func TestAnswersBeginAfterTheEcho(t *testing.T) {
	const command = "ip route 10.1.1.0 255.255.255.224 10.0.0.1"
	for text, want := range map[string]string{
		command + "\r\n% no\r\nR1#":                                         "|% no",
		command + "\r\nR1#":                                                 "|",
		"% late\r\nR1(config)#" + command + "\r\nR1(config)#":               "% late|",
		"\r\n*Mar 1: %SYS-5-X: y\r\nR1(config)#" + command + "\r\n% no\r\n": "*Mar 1: %SYS-5-X: y|% no",
		"R1(config)#$1.0 255.255.255.224 10.0.0.1\r\nR1(config)#":           "|",
		"ip route 10.1.1.0 255.255.255.224 10.0.0.9\b1\r\nR1#":              "|",
		"no " + command + "\r\nR1#":                                         "none",
		command[:20]:                                                        "none",
		command:                                                             "none",
	} {
		before, after, found := cutEcho(text, command)
		got := "none"
		if found {
			before, after = answerText(before, ""), answerText(after, "")
			got = strings.TrimSpace(firstOf(before)) + "|" + strings.TrimSpace(strings.Split(after, "\n")[0])
			got = strings.TrimSuffix(strings.TrimSuffix(got, "R1#"), "R1(config)#")
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// firstOf is the first line that is not blank.
func firstOf(text string) string {
	return strings.Split(strings.TrimLeft(text, "\n"), "\n")[0]
}

func TestPromptsAreKnown(t *testing.T) {
	for _, c := range []struct{ exec, text, want string }{
		{"R1#", "\r\nR1#", "R1#"},
		{"R1#", "\r\nR1# ", "R1# "},
		{"R1#", "R1#", "R1#"},
		{"R1#", "\r\nR1(config)#", "R1(config)#"},
		{"a-very-long-hostname-1234#", "\r\na-very-long(config)#", "a-very-long(config)#"},
		{"[12:01] core>", "\r\nR1(config)#", "R1(config)#"}, // a prompt of the operator's
		{"RP/0/RP0/CPU0:core1#", "\nRP/0/RP0/CPU0:core1(config-static-afi)#", "RP/0/RP0/CPU0:core1(config-static-afi)#"},
		{"vm#", "\nvm(config-vrf)# ", "vm(config-vrf)# "},
		{"sw(maint-mode)#", "\nsw(maint-mode)(config)# ", "sw(maint-mode)(config)# "},
		{"R1#", "\nR1#show", ""},
		{"R1#", "\nXR1#", ""},
		{"R1#", "\nR1>", ""},
		{"R1#", "\ninterface R1#\n", ""},
	} {
		re := waiting(c.exec)
		what, got := kind(re, re.FindStringSubmatch(c.text))
		if got != c.want || got != "" && what != kindPrompt {
			t.Errorf("%q at %q: %s %q, want %q", c.text, c.exec, what, got, c.want)
		}
	}
}

func TestQuestionsAreKnown(t *testing.T) {
	re := waiting("R1#")
	for text, want := range map[string]string{
		"\r\nOverwrite the previous NVRAM configuration?[confirm]":                                      kindQuestion,
		"\r\nDestination filename [startup-config]? ":                                                   kindQuestion,
		"\r\nUncommitted changes found, commit them before exiting(yes/no/cancel)? [cancel]:":           kindQuestion,
		"\r\nDo you wish to proceed with this commit anyway? [no]:":                                     kindQuestion,
		"\r\nAre you sure? (y/n) ":                                                                      kindQuestion,
		"\r\nDo you want to continue? [yes/no]:":                                                        kindQuestion,
		"ip route 10.1.1.0\r\n --More-- ":                                                               kindPager,
		"\r\n--More--":                                                                                  kindPager,
		"\r\nip route 10.1.1.0 255.255.255.0 10.0.0.1 name is-this-it?":                                 "",
		"\r\nOverwrite the previous NVRAM configuration?[confirm]\r\nBuilding configuration...\r\n[OK]": "",
	} {
		if what, _ := kind(re, re.FindStringSubmatch(text)); what != want {
			t.Errorf("%q is %q, want %q", text, what, want)
		}
	}
}

// TestASequenceWithinASequenceIsNoText holds for one that is cut off by another.
func TestASequenceWithinASequenceIsNoText(t *testing.T) {
	var c cleaner
	if got := string(c.clean([]byte("R1\x1b[0\x1b[K#"))); got != "R1#" {
		t.Errorf("what is left is %q", got)
	}
}

// FuzzCleaner cuts a stream anywhere: the text is the same, without what moves a
// terminal.
func FuzzCleaner(f *testing.F) {
	f.Add([]byte("\x1b[31mred\x1b[0m\x00\r\x1b[K\x1b]0;title\x07R1# "), uint8(3))
	f.Add([]byte("\x1b(B\x1b[?2004h\x1bPx\x1b\\\x1b[6;1H\x9b\x7f"), uint8(1))
	f.Add([]byte("\x1b]0;without an end\nR1#"), uint8(9))
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		var whole, cut cleaner
		want := string(whole.clean([]byte(string(data))))
		got := ""
		for rest := data; len(rest) > 0; {
			n := min(len(rest), int(size)+1)
			got += string(cut.clean([]byte(string(rest[:n]))))
			rest = rest[n:]
		}
		if got != want {
			t.Errorf("in pieces of %d: %q, whole: %q", size, got, want)
		}
		if strings.ContainsAny(got, "\x00\x1b\x07\x7f") {
			t.Errorf("%q is not clean", got)
		}
	})
}

// FuzzAnswer feeds what no router says: nothing panics, and what is cut is what
// came.
func FuzzAnswer(f *testing.F) {
	f.Add("R1#show run\r\nip route\r\n --More-- \b\b\b\b\b\b\b\b\b         \b\b\b\b\b\b\b\b\bnext\r\nR1#", "show run", "R1#")
	f.Add("\b\b\ba\rb\r\n", "b", "")
	f.Fuzz(func(t *testing.T, text, command, prompt string) {
		before, after, found := cutEcho(text, command)
		if found && (!strings.HasPrefix(text, before) || !strings.HasSuffix(text, after)) {
			t.Errorf("%q at %q: %q and %q", text, command, before, after)
		}
		_ = answerText(after, prompt)
		_ = refused(command, text)
		re := waiting(prompt)
		if what, words := kind(re, re.FindStringSubmatch(text)); what != "" && !strings.HasSuffix(text, words) {
			t.Errorf("%q waits with %q, which is not its end", text, words)
		}
	})
}
