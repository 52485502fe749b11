package iostest_test

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/routesteer/routesteer/drivers/cisco/iostest"
)

const running = "show running-config | include ^ip route"

// faulty is a router of IOS with faults.
func faulty(f iostest.Faults) iostest.Options { return iostest.Options{Faults: f} }

func TestEnable(t *testing.T) {
	for name, test := range map[string]struct {
		options iostest.Options
		lines   []string
		answer  string
	}{
		"the secret makes privileged":         {iostest.Options{Enable: "s3cret"}, []string{"enable", "s3cret", "show privilege"}, "level is 15"},
		"three wrong ones do not":             {iostest.Options{Enable: "s3cret"}, []string{"enable", "a", "b", "c"}, "% Bad secrets\n\nR1>"},
		"AAA denies at once":                  {iostest.Options{Enable: "s3cret", Faults: iostest.Faults{DenyEnable: "% Access denied"}}, []string{"enable", "s3cret"}, "% Access denied\n\nR1>"},
		"without a secret nothing is asked":   {iostest.Options{UserMode: true}, []string{"enable"}, "R1#"},
		"below privilege nothing is shown":    {iostest.Options{UserMode: true}, []string{running}, "% Invalid input detected"},
		"below privilege nothing is changed":  {iostest.Options{UserMode: true}, []string{"configure terminal"}, "% Invalid input detected"},
		"a secret of SSH alone is privileged": {iostest.Options{}, []string{"show privilege"}, "level is 15"},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, test.options, func(t *testing.T, r *iostest.Router, c *client) {
				contains(t, c.types(test.lines...), test.answer)
				if r.Leaked("s3cret") {
					t.Error("the secret counts as leaked")
				}
			})
		})
	}
}

func TestASecretAtAPromptIsLeaked(t *testing.T) {
	with(t, iostest.Options{UserMode: true}, func(t *testing.T, r *iostest.Router, c *client) {
		c.types("enable", "s3cret")
		if !r.Leaked("s3cret") {
			t.Error("nobody noticed")
		}
	})
}

func TestBannersComeBeforeThePrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := iostest.New(iostest.Options{Dialect: "ios", Banner: "Go away #\n", MOTD: iostest.NastyMOTD})
		defer r.Close()
		config := settings(r)
		banner := ""
		config.BannerCallback = func(text string) error { banner = text; return nil }
		conn, err := connect(t, r, config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		said := shell(t, conn).heard()
		if banner != "Go away #\n" || !strings.HasSuffix(said, iostest.NastyMOTD+"\nR1#") {
			t.Errorf("banner %q, then %q", banner, said)
		}
	})
}

func TestPrompts(t *testing.T) {
	long := "edge-router-1.example.net"
	for name, test := range map[string]struct {
		options iostest.Options
		want    string
	}{
		"a long name is cut in configuration mode": {iostest.Options{Hostname: long}, "edge-router(config)#"},
		"or less":                              {iostest.Options{Hostname: long, PromptLimit: 25}, "edge-router-1.ex(config)#"},
		"or not at all":                        {iostest.Options{Hostname: long, PromptLimit: -1}, long + "(config)#"},
		"NX-OS cuts nothing":                   {iostest.Options{Dialect: "nxos", Hostname: long}, long + "(config)# "},
		"there may be a space":                 {iostest.Options{OtherSpace: true}, "R1(config)# "},
		"or none":                              {iostest.Options{Dialect: "nxos", OtherSpace: true}, "R1(config)#"},
		"a prompt of its own is for exec mode": {iostest.Options{Prompt: "<core>"}, "R1(config)#"},
		"or for both":                          {iostest.Options{Prompt: "<core>", PromptInConfig: true}, "<core>(config)#"},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, test.options, func(t *testing.T, _ *iostest.Router, c *client) {
				said := c.types("configure terminal")
				if test.options.Prompt != "" {
					contains(t, said, "<core>#configure terminal")
				}
				if got := said[strings.LastIndex(said, "\n")+1:]; got != test.want {
					t.Errorf("the prompt is %q, want %q", got, test.want)
				}
			})
		})
	}
}

func TestNothingIsEchoedIfAsked(t *testing.T) {
	with(t, iostest.Options{NoEcho: true}, func(t *testing.T, _ *iostest.Router, c *client) {
		c.heard()
		if got := c.types("show privilege"); got != "\nCurrent privilege level is 15\nR1#" {
			t.Errorf("said %q", got)
		}
	})
}

func TestALongLineScrollsUntilTheTerminalIsWide(t *testing.T) {
	line := "! " + strings.Repeat("0123456789", 12)
	with(t, iostest.Options{Narrow: true}, func(t *testing.T, r *iostest.Router, c *client) {
		contains(t, c.types(line), "\b\b\b$", "$\n")
		if log := r.Log(); log[0].Text != line {
			t.Errorf("the router read %q", log[0].Text)
		}
		if said := c.types("terminal width 511", line); strings.Contains(said[len("terminal width 511"):], "$") {
			t.Errorf("a wide terminal scrolls: %q", said)
		}
	})
}

func TestThePagerAsks(t *testing.T) {
	with(t, iostest.Options{Padding: 30}, func(t *testing.T, _ *iostest.Router, c *client) {
		contains(t, c.types("show running-config"), " --More-- ")
		contains(t, c.key(" "), "\b\b\b\b\b\b\b\b\b         \b\b\b\b\b\b\b\b\b", " --More-- ")
		if one := c.key("\r"); strings.Count(one, "\n") != 1 || !strings.HasSuffix(one, " --More-- ") {
			t.Errorf("Enter showed %q, want a line", one)
		}
		contains(t, c.key("q"), "R1#")
		if said := c.types("terminal length 0", "show running-config"); strings.Contains(said, "More") || !strings.Contains(said, "\nend\n") {
			t.Errorf("without pager: %q", said)
		}
	})
}

func TestThePagerCannotBeSwitchedOffIfAAAForbidsIt(t *testing.T) {
	f := iostest.Faults{Deny: regexp.MustCompile("^terminal length")}
	with(t, iostest.Options{Padding: 30, Faults: f}, func(t *testing.T, _ *iostest.Router, c *client) {
		contains(t, c.types("terminal length 0", "show running-config"), "Command authorization failed.", " --More-- ")
	})
}

func TestLogLines(t *testing.T) {
	for name, test := range map[string]struct {
		faults iostest.Faults
		lines  []string
		want   string
	}{
		"before the prompt":            {iostest.Faults{LogAtPrompt: true}, []string{""}, `\n\*Jan  1 00:00:00\.000: %LINEPROTO-5[^\n]*\nR1#$`},
		"in an answer, with a prompt":  {iostest.Faults{LogInAnswer: true}, []string{running}, `route\nip route [^\n]*\n\*[^\n]*%LINK-3[^\n]*\nR1#\nip route`},
		"in an answer, without prompt": {iostest.Faults{LogInAnswer: true, NoReprint: true}, []string{running}, `%LINK-3[^\n]*\nip route`},
		"where there is no answer":     {iostest.Faults{LogInAnswer: true}, []string{"! hello"}, `! hello\n\*[^\n]*%LINK-3[^\n]*\nR1#\nR1#$`},
		"after end":                    {iostest.Faults{LogConfig: true}, []string{"configure terminal", "end"}, `\nR1#\n\*[^\n]*%SYS-5-CONFIG_I: Configured[^\n]*\nR1#$`},
		"after end, without prompt":    {iostest.Faults{LogConfig: true, NoReprint: true}, []string{"configure terminal", "end"}, `%SYS-5-CONFIG_I[^\n]*\n$`},
		"in spite of no monitor":       {iostest.Faults{LogAtPrompt: true, LogAlways: true}, []string{"terminal no monitor"}, `no monitor\n\*[^\n]*%LINE`},
		"and none otherwise":           {iostest.Faults{LogAtPrompt: true}, []string{"terminal no monitor"}, `no monitor\nR1#$`},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, faulty(test.faults), func(t *testing.T, r *iostest.Router, c *client) {
				r.Set(line1, line2)
				if said := c.types(test.lines...); !regexp.MustCompile(test.want).MatchString(said) {
					t.Errorf("%q is not like %s", said, test.want)
				}
			})
		})
	}
}

func TestALogLineComesWhileSomebodyTypes(t *testing.T) {
	with(t, iostest.Options{}, func(t *testing.T, r *iostest.Router, c *client) {
		c.key("show pri")
		r.Syslog("%SYS-6-LOGOUT: User bob has exited")
		contains(t, c.key("vilege\r"), "%SYS-6-LOGOUT: User bob has exited\nR1#show pri", "level is 15")
	})
}

func TestNoiseIsStrewnBetweenCharacters(t *testing.T) {
	noise := regexp.MustCompile("\x00|\x1b\\[[0-9;?]*[A-Za-z]")
	with(t, faulty(iostest.Faults{Noise: true}), func(t *testing.T, r *iostest.Router, c *client) {
		r.Set(line1)
		said := c.types(running)
		if !strings.Contains(said, "\x00") || !strings.Contains(said, "\x1b[") {
			t.Errorf("no noise in %q", said)
		}
		contains(t, noise.ReplaceAllString(said, ""), line1+"\nR1#")
	})
}

func TestOutputTakesItsTime(t *testing.T) {
	for name, test := range map[string]struct {
		faults iostest.Faults
		least  time.Duration
	}{
		"a slow prompt":   {iostest.Faults{PromptDelay: 20 * time.Second}, 20 * time.Second},
		"a trickle":       {iostest.Faults{Trickle: 50 * time.Millisecond}, 20 * 50 * time.Millisecond},
		"bigger trickles": {iostest.Faults{Trickle: time.Second, Chunk: 10}, 2 * time.Second},
		"chunks alone":    {iostest.Faults{Chunk: 1}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, faulty(test.faults), func(t *testing.T, _ *iostest.Router, c *client) {
				time.Sleep(time.Minute)
				c.heard()
				begun := time.Now()
				said := c.types("show privilege")
				for !strings.HasSuffix(said, "R1#") {
					time.Sleep(10 * time.Millisecond)
					said += c.heard()
				}
				if took := time.Since(begun); took < test.least || took > test.least+10*time.Second {
					t.Errorf("it took %v, want about %v", took, test.least)
				}
			})
		})
	}
}

func TestTheConfigurationIsLocked(t *testing.T) {
	for _, times := range []int{2, -1} {
		with(t, faulty(iostest.Faults{Locked: times}), func(t *testing.T, _ *iostest.Router, c *client) {
			contains(t, c.types("show configuration lock"), "NETCONF")
			contains(t, c.types("configure terminal"), "locked by process '484' user 'NETCONF' from terminal '64'. Please try later.\nR1#")
			said := c.types("configure terminal", "configure terminal")
			if free := strings.HasSuffix(said, "(config)#"); free != (times == 2) {
				t.Errorf("%d times locked: %q", times, said)
			}
		})
	}
}

func TestLinesAreNotAuthorized(t *testing.T) {
	for dialect, words := range map[string]string{
		"ios": "Command authorization failed.", "nxos": "% Permission denied for the role",
		"eos": "% Authorization denied", "iosxr": "% This command is not authorized",
	} {
		o := iostest.Options{Dialect: dialect, Faults: iostest.Faults{DenyNth: 2}}
		with(t, o, func(t *testing.T, _ *iostest.Router, c *client) {
			c.types("show privilege")
			contains(t, c.types("show privilege"), words)
			contains(t, c.types("show privilege"), "level is 15")
		})
	}
}

func TestSaving(t *testing.T) {
	for name, test := range map[string]struct {
		faults iostest.Faults
		keys   []string
		want   string
		saved  bool
	}{
		"it asks, and Enter confirms":    {iostest.Faults{Overwrite: true}, []string{"write memory\r", "\r"}, "[confirm]\nBuilding configuration...\n[OK]\n", true},
		"it asks, and n does not":        {iostest.Faults{Overwrite: true}, []string{"write memory\r", "n"}, "[confirm]\nR1#", false},
		"it fails":                       {iostest.Faults{SaveError: "startup-config file open failed (Device or resource busy)"}, []string{"write memory\r"}, "open failed", false},
		"a copy asks for the name":       {iostest.Faults{}, []string{"copy running-config startup-config\r", "\r"}, "[startup-config]? \nBuilding", true},
		"another name is not our affair": {iostest.Faults{}, []string{"copy run start\r", "n\r"}, "%Error opening n", false},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, faulty(test.faults), func(t *testing.T, r *iostest.Router, c *client) {
				r.Set(line1)
				said := ""
				for _, keys := range test.keys {
					said += c.key(keys)
				}
				contains(t, said, test.want)
				if saved := len(r.Startup()) == 1; saved != test.saved {
					t.Errorf("saved is %v", saved)
				}
			})
		})
	}
}

func TestSavingTakesItsTime(t *testing.T) {
	with(t, faulty(iostest.Faults{SaveDelay: time.Minute}), func(t *testing.T, r *iostest.Router, c *client) {
		r.Set(line1)
		if said := c.types("write memory"); !strings.HasSuffix(said, "Building configuration...\n") {
			t.Errorf("at once: %q", said)
		}
		time.Sleep(time.Minute)
		contains(t, c.heard(), "[OK]\nR1#")
	})
}

func TestTheConnectionIsCut(t *testing.T) {
	for name, test := range map[string]struct {
		when iostest.CutWhen
		runs bool
		said string
	}{
		"before the line is executed": {iostest.BeforeRunning, false, ""},
		"after it":                    {iostest.AfterRunning, true, ""},
		"in the middle of the answer": {iostest.AmidAnswer, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := iostest.Faults{Cut: iostest.Cut{Line: 2, When: test.when}}
			with(t, faulty(f), func(t *testing.T, r *iostest.Router, c *client) {
				c.types("configure terminal", line1)
				if c.alive() {
					t.Error("the connection stands")
				}
				if ran := len(r.Config()) == 1; ran != test.runs {
					t.Errorf("executed is %v", ran)
				}
				again := login(t, r)
				defer again.close()
				contains(t, again.types("configure terminal", line2), "(config)#"+line2+"\nR1(config)#")
			})
		})
	}
}

func TestHalfAnAnswerIsHeardBeforeACut(t *testing.T) {
	f := iostest.Faults{Cut: iostest.Cut{Line: 1, When: iostest.AmidAnswer}}
	with(t, faulty(f), func(t *testing.T, r *iostest.Router, c *client) {
		r.Set(line1, line2)
		said := c.types(running)
		if !strings.Contains(said, line1) || strings.Contains(said, line2) {
			t.Errorf("said %q", said)
		}
	})
}

func TestASessionHangs(t *testing.T) {
	with(t, faulty(iostest.Faults{Hang: 2}), func(t *testing.T, r *iostest.Router, c *client) {
		c.types("configure terminal")
		said := c.types(line1)
		time.Sleep(24 * time.Hour)
		if said += c.types("end"); said != line1+"\n" || !c.alive() {
			t.Errorf("said %q, or closed", said)
		}
		want(t, r.Config(), line1)
	})
}

func TestAnIdleSessionIsClosed(t *testing.T) {
	with(t, faulty(iostest.Faults{ExecTimeout: 10 * time.Minute}), func(t *testing.T, r *iostest.Router, c *client) {
		time.Sleep(9 * time.Minute)
		c.types("")
		time.Sleep(9 * time.Minute)
		if !c.alive() {
			t.Fatal("closed too early")
		}
		time.Sleep(2 * time.Minute)
		if open, total := r.Sessions(); c.alive() || open != 0 || total != 1 {
			t.Errorf("%d of %d sessions are open", open, total)
		}
	})
}

func TestAnUnknownWordIsLookedUp(t *testing.T) {
	with(t, faulty(iostest.Faults{Translating: true}), func(t *testing.T, _ *iostest.Router, c *client) {
		if said := c.types("bogus"); !strings.HasSuffix(said, "Translating \"bogus\"...domain server (255.255.255.255)\n") {
			t.Errorf("said %q", said)
		}
		time.Sleep(20 * time.Second)
		contains(t, c.heard(), "% Unknown command")
	})
}

func TestReachingIt(t *testing.T) {
	for name, test := range map[string]struct {
		options iostest.Options
		change  func(*ssh.ClientConfig)
		reached bool
	}{
		"a wrong password":                      {iostest.Options{}, password("wrong"), false},
		"a key":                                 {iostest.Options{Key: signer().PublicKey()}, key, true},
		"a foreign key":                         {iostest.Options{}, key, false},
		"keyboard-interactive":                  {faulty(iostest.Faults{KeyboardOnly: true}), keyboard, true},
		"a password where there is a keyboard":  {faulty(iostest.Faults{KeyboardOnly: true}), nothing, false},
		"old algorithms":                        {faulty(iostest.Faults{Legacy: true}), nothing, false},
		"old algorithms, and a client for them": {faulty(iostest.Faults{Legacy: true}), legacy, true},
		"no VTY":                                {faulty(iostest.Faults{Refuse: 1}), nothing, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.options.Dialect = "ios"
				r := iostest.New(test.options)
				defer r.Close()
				config := settings(r)
				test.change(config)
				c, err := connect(t, r, config)
				if (err == nil) != test.reached {
					t.Fatalf("logging in: %v", err)
				}
				if err == nil {
					c.Close()
				}
			})
		})
	}
}

func nothing(*ssh.ClientConfig) {}

func password(text string) func(*ssh.ClientConfig) {
	return func(c *ssh.ClientConfig) { c.Auth = []ssh.AuthMethod{ssh.Password(text)} }
}

func key(c *ssh.ClientConfig) { c.Auth = []ssh.AuthMethod{ssh.PublicKeys(signer())} }

func keyboard(c *ssh.ClientConfig) {
	c.Auth = []ssh.AuthMethod{ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
		return []string{"cisco"}[:len(questions)], nil
	})}
}

func legacy(c *ssh.ClientConfig) {
	old, now := ssh.InsecureAlgorithms(), ssh.SupportedAlgorithms()
	c.KeyExchanges = append(now.KeyExchanges, old.KeyExchanges...)
	c.Ciphers = append(now.Ciphers, old.Ciphers...)
	c.MACs = append(now.MACs, old.MACs...)
	c.HostKeyAlgorithms = []string{ssh.KeyAlgoRSA}
}

func TestVTYsBecomeFreeAgain(t *testing.T) {
	with(t, faulty(iostest.Faults{SessionLimit: 1}), func(t *testing.T, r *iostest.Router, c *client) {
		if _, err := connect(t, r, settings(r)); err == nil {
			t.Fatal("a second session was let in")
		}
		c.types("exit")
		login(t, r).close()
	})
}

func TestNXOSSaysThatThereAreTooManySessions(t *testing.T) {
	o := iostest.Options{Dialect: "nxos", Faults: iostest.Faults{SessionLimit: 1}}
	with(t, o, func(t *testing.T, r *iostest.Router, _ *client) {
		more := login(t, r)
		defer more.close()
		contains(t, more.heard(), "CLI session limit")
		if more.alive() {
			t.Error("the connection stands")
		}
	})
}

func TestTheHostKeyChanges(t *testing.T) {
	with(t, iostest.Options{}, func(t *testing.T, r *iostest.Router, _ *client) {
		config := settings(r)
		r.ChangeHostKey()
		if _, err := connect(t, r, config); err == nil {
			t.Error("a client that knows the old key got in")
		}
		login(t, r).close()
	})
}

func TestAnUnknownRequestEndsTheConnectionIfStrict(t *testing.T) {
	for _, strict := range []bool{false, true} {
		with(t, faulty(iostest.Faults{StrictSSH: strict}), func(t *testing.T, _ *iostest.Router, c *client) {
			c.s.SendRequest("dummy", true, nil) // what comes of it is asked below
			if c.alive() == strict {
				t.Errorf("strict %v: alive is %v", strict, !strict)
			}
		})
	}
}

func TestACommitFails(t *testing.T) {
	o := iostest.Options{Dialect: "iosxr", Faults: iostest.Faults{CommitError: "% Out of resources"}}
	with(t, o, func(t *testing.T, r *iostest.Router, c *client) {
		said := c.types("configure terminal", "router static", "address-family ipv4 unicast", "10.1.1.0/27 10.0.0.1", "commit", "show configuration failed")
		contains(t, said, "% Failed to commit", "!!% Out of resources")
		want(t, r.Config())
	})
}

func TestACommitMeetsAnother(t *testing.T) {
	with(t, iostest.Options{Dialect: "iosxr"}, func(t *testing.T, r *iostest.Router, c *client) {
		c.types("configure terminal", "router static", "address-family ipv4 unicast", "10.1.1.0/27 10.0.0.1")
		r.Set("router static", "address-family ipv4 unicast", "10.1.3.0/24 10.0.0.9")
		contains(t, c.types("commit"), "One or more commits have occurred", "[no]: ")
		c.types("")
		hops(t, r)
		c.types("commit", "yes")
		hops(t, r, first)
	})
}

func TestACutSessionLosesItsCandidate(t *testing.T) {
	with(t, iostest.Options{Dialect: "iosxr"}, func(t *testing.T, r *iostest.Router, c *client) {
		c.types("configure terminal", "router static", "address-family ipv4 unicast", "10.1.1.0/27 10.0.0.1")
		c.close()
		synctest.Wait()
		want(t, r.Config())
		if open, _ := r.Sessions(); open != 0 {
			t.Error("the session is left")
		}
	})
}

func TestOneCommandWithoutShell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := iostest.New(iostest.Options{Dialect: "ios"})
		defer r.Close()
		c, err := connect(t, r, settings(r))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		out, _ := s.Output("show privilege") // a router sends no exit status
		contains(t, string(out), "level is 15")
	})
}
