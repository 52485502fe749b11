package cisco_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/routesteer/routesteer/drivers/cisco"
	"github.com/routesteer/routesteer/drivers/cisco/iostest"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// TestSavingIsNoPartOfAMove covers when a router saves, and what is said when
// it does not: the move is done all the same.
func TestSavingIsNoPartOfAMove(t *testing.T) {
	afterChange := func(c *topology.Cisco) { c.Save.AfterChange = true }
	for name, c := range map[string]struct {
		faults  iostest.Faults
		cisco   func(*topology.Cisco)
		after   time.Duration
		saved   bool
		problem string
	}{
		"never":        {cisco: func(*topology.Cisco) {}, after: time.Hour},
		"at once":      {cisco: afterChange, after: 5 * time.Second, saved: true},
		"slow":         {iostest.Faults{SaveDelay: time.Minute}, afterChange, 90 * time.Second, true, ""},
		"not yet":      {cisco: func(c *topology.Cisco) { c.Save.After = 5 * time.Minute }, after: 4 * time.Minute},
		"in time":      {cisco: func(c *topology.Cisco) { c.Save.After = 5 * time.Minute }, after: 6 * time.Minute, saved: true},
		"refused":      {iostest.Faults{SaveError: "% Error writing nvram (No space left on device)"}, afterChange, time.Minute, false, "No space left"},
		"asks":         {iostest.Faults{Overwrite: true}, afterChange, time.Minute, false, "Overwrite the previous NVRAM"},
		"hangs":        {iostest.Faults{SaveDelay: time.Hour}, afterChange, 10 * time.Minute, false, "within"},
		"not allowed":  {iostest.Faults{Deny: regexp.MustCompile(`^(write|copy)`)}, afterChange, time.Minute, false, "not saved"},
		"session kept": {cisco: func(c *topology.Cisco) { c.Save.AfterChange, c.KeepSession = true, true }, after: 5 * time.Second, saved: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, setting{options: iostest.Options{Dialect: "ios", Faults: c.faults}, cisco: c.cisco}, func(w *world) {
				w.moved("web1")
				time.Sleep(c.after)
				synctest.Wait()
				if saved := len(w.router.Startup()) > 0; saved != c.saved {
					t.Errorf("saved: %v, want %v\n%s", saved, c.saved, w.transcript())
				}
				problems := strings.Join(w.driver.Info().Problems, "\n")
				if (problems != "") != (c.problem != "") || !strings.Contains(problems, c.problem) {
					t.Errorf("problems: %q, want one with %q", problems, c.problem)
				}
				w.moved("web2")
			})
		})
	}
}

// TestASaveGivesWayToAMove holds that a failure does not wait for the flash.
func TestASaveGivesWayToAMove(t *testing.T) {
	s := setting{options: iostest.Options{Dialect: "ios"}, cisco: func(c *topology.Cisco) { c.Save.AfterChange = true }}
	inWorld(t, s, func(w *world) {
		w.moved("web1")
		w.router.Change(func(f *iostest.Faults) { f.SaveDelay = time.Minute })
		time.Sleep(100 * time.Millisecond) // it saves
		began := time.Now()
		w.moved("web2")
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the move took %s, as long as the save", took)
		}
		w.router.Change(func(f *iostest.Faults) { f.SaveDelay = 0 })
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if startup := strings.Join(w.router.Startup(), "\n"); !strings.Contains(startup, "routesteer-web2") || strings.Contains(startup, "routesteer-web1") {
			t.Errorf("what is saved in the end is\n%s", startup)
		}
	})
}

// TestASaveThatIsInterruptedIsNoFailure holds that it is made up for after the
// move, also where it had only begun to log in.
func TestASaveThatIsInterruptedIsNoFailure(t *testing.T) {
	s := setting{options: iostest.Options{Dialect: "ios"}, cisco: func(c *topology.Cisco) { c.Save.After = 5 * time.Minute }}
	inWorld(t, s, func(w *world) {
		w.moved("web1")
		w.router.Change(func(f *iostest.Faults) { f.PromptDelay = time.Second })
		time.Sleep(5*time.Minute + 500*time.Millisecond) // it logs in to save
		w.at("web1")
		if problems := w.driver.Info().Problems; len(problems) > 0 {
			t.Errorf("problems: %q", problems)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(w.router.Startup()) == 0 {
			t.Errorf("it was not saved\n%s", w.transcript())
		}
	})
}

// TestWhatIsToBeSavedOutlivesTheProcess holds that a restart forgets no save.
func TestWhatIsToBeSavedOutlivesTheProcess(t *testing.T) {
	s := setting{options: iostest.Options{Dialect: "ios"}, cisco: func(c *topology.Cisco) { c.Save.After = 5 * time.Minute }}
	inWorld(t, s, func(w *world) {
		w.moved("web1")
		w.leave()
		if len(w.router.Startup()) > 0 {
			t.Fatal("it was saved too early")
		}
		w.open()
		w.at("web1")
		time.Sleep(24 * 365 * 40 * time.Hour) // the mark has the time of the machine, which is not fake
		synctest.Wait()
		if len(w.router.Startup()) == 0 {
			t.Errorf("it was not saved\n%s", w.transcript())
		}
	})
}

// TestForeignLines covers what is somebody else's.
func TestForeignLines(t *testing.T) {
	const mine = "ip route 203.0.0.0 255.255.255.224 10.0.0.1 name routesteer-web1"
	for name, c := range map[string]struct {
		lines   []string
		adopt   bool
		refused string   // why the prefix does not move; "" if it does
		left    []string // lines of the prefix at the end
	}{
		"ours":            {[]string{mine}, false, "", nil},
		"in the way":      {[]string{"ip route 203.0.0.0 255.255.255.224 10.0.0.9"}, false, "not ours", []string{"ip route 203.0.0.0 255.255.255.224 10.0.0.9"}},
		"taken over":      {[]string{"ip route 203.0.0.0 255.255.255.224 10.0.0.9"}, true, "", nil},
		"its tag stays":   {[]string{"ip route 203.0.0.0 255.255.255.224 10.0.0.9 tag 65"}, true, "", []string{"ip route 203.0.0.0 255.255.255.224 10.0.0.2 tag 65 name routesteer-web2"}},
		"tracked":         {[]string{"ip route 203.0.0.0 255.255.255.224 10.0.0.9 track 7"}, true, "track 7", []string{"ip route 203.0.0.0 255.255.255.224 10.0.0.9 track 7"}},
		"in reserve":      {[]string{mine, "ip route 203.0.0.0 255.255.255.224 10.0.0.9 250"}, true, "", []string{"ip route 203.0.0.0 255.255.255.224 10.0.0.9 250", "ip route 203.0.0.0 255.255.255.224 10.0.0.2 name routesteer-web2"}},
		"only in reserve": {[]string{"ip route 203.0.0.0 255.255.255.224 10.0.0.9 250"}, false, "", []string{"ip route 203.0.0.0 255.255.255.224 10.0.0.9 250", "ip route 203.0.0.0 255.255.255.224 10.0.0.2 name routesteer-web2"}},
		"overwritten":     {[]string{mine, "ip route 203.0.0.0 255.255.255.224 10.0.0.2 250 tag 9"}, false, "not ours", nil},
		"by an interface": {[]string{"ip route 203.0.0.0 255.255.255.224 GigabitEthernet0/1 10.0.0.9"}, true, "", nil},
		"another VRF":     {[]string{"ip route vrf RED 203.0.0.0 255.255.255.224 10.0.0.9"}, false, "", nil},
		"another length":  {[]string{"ip route 203.0.0.0 255.255.255.0 10.0.0.9"}, false, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setting{options: iostest.Options{Dialect: "ios", VRFs: []string{"RED"}}, vips: 1, cisco: func(cfg *topology.Cisco) { cfg.Adopt = c.adopt }}
			inWorld(t, s, func(w *world) {
				w.router.Set(c.lines...)
				n, err := w.move(w.Context(), "web2")
				if c.refused == "" && (err != nil || n != 2) || c.refused != "" && (n != 1 || err == nil || !strings.Contains(err.Error(), c.refused)) {
					t.Errorf("%d moved: %v; want refusal %q", n, err, c.refused)
				}
				config := w.router.Config()
				for _, want := range c.left {
					if !slices.Contains(config, want) {
						t.Errorf("the router lacks %q:\n%s", want, strings.Join(config, "\n"))
					}
				}
				if c.refused == "" && !slices.Contains(w.router.Installed(netip.MustParsePrefix("203.0.0.0/27")), netip.MustParseAddr("10.0.0.2")) {
					t.Errorf("the prefix does not go to web2:\n%s", strings.Join(config, "\n"))
				}
				w.unbroken()
			})
		})
	}
}

// TestAPlanToAdoptIsWhatIsTyped holds that a plan removes the operator's line as
// it is, and keeps what we would keep of it.
func TestAPlanToAdoptIsWhatIsTyped(t *testing.T) {
	s := setting{options: iostest.Options{Dialect: "ios"}, vips: 1, cisco: func(c *topology.Cisco) { c.Adopt = true }}
	inWorld(t, s, func(w *world) {
		w.router.Set("ip route 203.0.0.0 255.255.255.224 10.0.0.9 tag 65")
		if _, err := w.driver.Routes(w.Context()); err != nil {
			t.Fatal(err)
		}
		prefix := w.prefixes()[0]
		change := steer.Change{Op: steer.Replace, Prefixes: []netip.Prefix{prefix}, To: w.to(prefix, "web2"), Adopt: true}
		want := []string{
			"ip route 203.0.0.0 255.255.255.224 10.0.0.2 tag 65 name routesteer-web2",
			"no ip route 203.0.0.0 255.255.255.224 10.0.0.9 tag 65",
		}
		if plan := w.driver.Render([]steer.Change{change}); !slices.Equal(plan, want) {
			t.Errorf("the plan is %q, want %q", plan, want)
		}
	})
}

// TestWhoIsWho covers host keys and passwords that are not the right ones.
func TestWhoIsWho(t *testing.T) {
	for name, c := range map[string]struct {
		s    setting
		do   func(w *world)
		want string
	}{
		"another host key":        {setting{}, func(w *world) { w.router.ChangeHostKey() }, "host key is not the one that is known"},
		"another password":        {setting{}, func(w *world) { w.secret("password", "guess") }, "refuses key_file and password"},
		"a password for all":      {setting{}, func(w *world) { w.chmod("password", 0o644) }, "chmod o="},
		"another enable secret":   {setting{options: iostest.Options{Enable: enabling}}, func(w *world) { w.secret("enable", "guess") }, "does not take the enable secret"},
		"enable is denied":        {setting{options: iostest.Options{Enable: enabling, Faults: iostest.Faults{DenyEnable: "% Access denied"}}}, nil, "Access denied"},
		"no enable secret":        {setting{options: iostest.Options{UserMode: true, Enable: enabling}, cisco: func(c *topology.Cisco) { c.Enable = topology.Secret{} }}, nil, "not privileged at once"},
		"old algorithms":          {setting{options: iostest.Options{Faults: iostest.Faults{Legacy: true}}}, nil, "legacy_algorithms: true"},
		"a router that is silent": {setting{options: iostest.Options{Faults: iostest.Faults{Hang: 1}}}, nil, "within 30s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.s.options.Dialect = "ios"
			inWorld(t, c.s, func(w *world) {
				if c.do != nil {
					c.do(w)
				}
				_, err := w.driver.Routes(w.Context())
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v; want an error with %q", err, c.want)
				}
				if err != nil && (strings.Contains(err.Error(), password) || strings.Contains(err.Error(), enabling)) {
					t.Errorf("the error holds a secret: %v", err)
				}
				if session := w.driver.Info().Sessions[0]; session.Well || session.Detail == "" {
					t.Errorf("the session is told as %+v", session)
				}
			})
		})
	}
}

func (w *world) chmod(name string, mode os.FileMode) {
	w.Helper()
	if err := os.Chmod(filepath.Join(w.dir, name), mode); err != nil {
		w.Fatal(err)
	}
}

// TestACancelledMoveLeavesTheRouterInOrder at any moment; the next pass converges.
func TestACancelledMoveLeavesTheRouterInOrder(t *testing.T) {
	for _, dialect := range []string{"ios", "nxos", "eos", "iosxr"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			s := setting{options: iostest.Options{Dialect: dialect, Faults: iostest.Faults{PromptDelay: 100 * time.Millisecond}}}
			inWorld(t, s, func(w *world) {
				w.moved("web1")
				for after := 150 * time.Millisecond; after < 5*time.Second; after += 270 * time.Millisecond {
					ctx, cancel := context.WithTimeout(w.Context(), after)
					_, err := w.move(ctx, "web2")
					cancel()
					if err != nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("cancelled after %s: %v", after, err)
					}
					synctest.Wait()
					time.Sleep(5 * time.Second)
					if open, _ := w.router.Sessions(); err != nil && open > 0 {
						t.Fatalf("cancelled after %s: %d sessions are left", after, open)
					}
					w.moved("web1")
				}
				w.unbroken()
			})
		})
	}
}

// TestPlansAreWhatIsTyped holds a plan's lines to the dialogue that follows.
func TestPlansAreWhatIsTyped(t *testing.T) {
	for _, dialect := range []string{"ios", "nxos", "eos", "iosxr"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			inWorld(t, setting{options: iostest.Options{Dialect: dialect}, vips: 1}, func(w *world) {
				w.moved("web1")
				prefix := w.prefixes()[0]
				change := steer.Change{Op: steer.Replace, Prefixes: []netip.Prefix{prefix}, From: w.to(prefix, "web1"), To: w.to(prefix, "web2")}
				plan := w.driver.Render([]steer.Change{change})
				if len(plan) != 2 {
					t.Fatalf("the plan is %q", plan)
				}
				if _, err := w.driver.Apply(w.Context(), []steer.Change{change}); err != nil {
					t.Fatal(err)
				}
				script := w.transcript()
				for _, planned := range plan {
					parts := strings.Split(planned, " / ")
					if !strings.Contains(script, ">> "+parts[len(parts)-1]+"\n") {
						t.Errorf("%q was planned and not typed:\n%s", planned, script)
					}
				}
			})
		})
	}
}

// TestRoutersTakeTheirFirstConfiguration types what router config prints, and
// has the driver find its routes.
func TestRoutersTakeTheirFirstConfiguration(t *testing.T) {
	for _, dialect := range []string{"ios", "nxos", "eos", "iosxr"} {
		for _, vrf := range []string{"", "RED"} {
			t.Run(dialect+vrf, func(t *testing.T) {
				t.Parallel()
				s := setting{options: iostest.Options{Dialect: dialect, VRFs: []string{"RED"}}, cisco: func(c *topology.Cisco) { c.VRF, c.Tag = vrf, 77 }}
				inWorld(t, s, func(w *world) {
					var changes []steer.Change
					for _, prefix := range w.prefixes() {
						changes = append(changes, steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{prefix}, To: w.to(prefix, "web1")})
					}
					lines, err := cisco.Config(*w.site.Routers[0].Cisco, w.site, changes)
					if err != nil {
						t.Fatal(err)
					}
					// Set is in configuration mode already, and leaves it by itself.
					w.router.Set(slices.DeleteFunc(lines, func(l string) bool { return l == "configure terminal" || l == "commit" || l == "end" })...)
					w.at("web1")
				})
			})
		}
	}
}
