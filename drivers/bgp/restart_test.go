package bgp

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// crashing is, in the environment, the directory of a speaker in a process of
// its own, which can be killed as no test can kill itself. longLived, if it is there,
// has routers keep its routes for a second, and then for an hour as a last resort.
const (
	crashing  = "ROUTESTEER_BGP_CRASH"
	longLived = "ROUTESTEER_BGP_LONG_LIVED"
)

// crash announces vip4 by web2 and vip6 by web26 to a peer of the exam's
// address, unless it finds them announced, and waits to be killed.
func crash(directory string) {
	host := NewHost(directory, quiet())
	d, err := host.Open(site(func(cfg *topology.BGP) {
		if os.Getenv(longLived) != "" {
			cfg.Restart = topology.Restart{Time: time.Second, LongLived: time.Hour}
		}
	}), vips(vip4, vip6))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	routes, err := d.Routes(context.Background())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("found", len(routes))
	if len(routes) == 0 {
		_, err = d.Apply(context.Background(), []steer.Change{
			{Op: steer.Add, Prefixes: only(vip4), To: to(web2)}, {Op: steer.Add, Prefixes: only(vip6), To: to(web26)},
		})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	select {}
}

// spawn starts a speaker that can crash.
func spawn(t *testing.T, directory string, settings ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), crashing+"="+directory), settings...)
	out, err := os.Create(filepath.Join(directory, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(cmd) })
	return cmd
}

func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill() // it may be dead
	_ = cmd.Wait()
}

// TestACrashOfTheSpeakerMovesNothing kills it with SIGKILL, and starts it again.
// BIRD and the kernel are watched.
func TestACrashOfTheSpeakerMovesNothing(t *testing.T) {
	if elsewhere(t) {
		return
	}
	b := newRouter(t).startBird(birdConfig)
	directory := t.TempDir()
	first := spawn(t, directory)
	b.routes(vip4, web2)
	b.routes(vip6, web26)
	b.established()
	gone4, gone6 := b.removals(vip4), b.removals(vip6)
	for range 2 {
		kill(first)
		b.soon("BIRD has seen it", func() bool { return !strings.Contains(b.birdc("show protocols routesteer"), "Established") })
		first = spawn(t, directory)
		b.established()
		// What BIRD would flush, it flushes at the End-of-RIB.
		b.soon("BIRD has the End-of-RIB", func() bool {
			all := b.birdc("show protocols all routesteer")
			return strings.Contains(all, "Established") && !strings.Contains(all, "Neighbor graceful restart active")
		})
		b.routes(vip4, web2)
		b.routes(vip6, web26)
	}
	if gaps := append(gone4(), gone6()...); len(gaps) > 0 {
		t.Errorf("routes went: %v", gaps)
	}
	needs(t, string(read(t, filepath.Join(directory, "out"))), "found 2")
}

// TestACrashOfTheSpeakerMovesNothingOnFRR: the same. FRR says of each path whether it
// is one of before.
func TestACrashOfTheSpeakerMovesNothingOnFRR(t *testing.T) {
	if elsewhere(t) {
		return
	}
	f := newRouter(t).startFRR(frrConfig)
	directory := t.TempDir()
	first := spawn(t, directory)
	f.routes(vip4, web2)
	f.routes(vip6, web26)
	gone4, gone6 := f.removals(vip4), f.removals(vip6)
	for range 2 {
		kill(first)
		f.soon("FRR keeps what was announced", f.stale)
		first = spawn(t, directory)
		f.soon("FRR has it anew", func() bool { return !f.stale() })
		f.routes(vip4, web2)
		f.routes(vip6, web26)
	}
	if gaps := append(gone4(), gone6()...); len(gaps) > 0 {
		t.Errorf("routes went: %v", gaps)
	}
	needs(t, string(read(t, filepath.Join(directory, "out"))), "found 2")
}

// stale reports whether FRR keeps paths of a session that has ended.
func (f *frrouting) stale() bool {
	return strings.Contains(f.show("show bgp ipv4 unicast "+vip4.String()), "stale") || strings.Contains(f.show("show bgp ipv6 unicast "+vip6.String()), "stale")
}

// TestRoutesLiveLong on BIRD beyond the restart time, as a last resort (RFC 9494),
// until the speaker is back.
func TestRoutesLiveLong(t *testing.T) {
	if elsewhere(t) {
		return
	}
	b := newRouter(t).startBird(strings.Replace(birdConfig, "graceful restart on;", "graceful restart on; long lived graceful restart on;", 1))
	directory := t.TempDir()
	speaker := spawn(t, directory, longLived+"=1")
	b.routes(vip4, web2)
	b.routes(vip6, web26)
	gone4, gone6 := b.removals(vip4), b.removals(vip6)
	kill(speaker)
	stale := func(p netip.Prefix) bool {
		return strings.Contains(b.birdc("show route all for %s", p), "(65535,6)") // LLGR_STALE
	}
	b.soon("BIRD keeps the routes as a last resort", func() bool { return stale(vip4) && stale(vip6) })
	b.routes(vip4, web2)
	spawn(t, directory, longLived+"=1")
	b.soon("BIRD has them anew", func() bool { return !stale(vip4) && !stale(vip6) })
	b.routes(vip4, web2)
	b.routes(vip6, web26)
	if gaps := append(gone4(), gone6()...); len(gaps) > 0 {
		t.Errorf("routes went: %v", gaps)
	}
}

// TestARouterThatForgetsIsToldOf, if the file says that it should keep routes long.
func TestARouterThatForgetsIsToldOf(t *testing.T) {
	if elsewhere(t) {
		return
	}
	b := newRouter(t).startBird(birdConfig)
	for _, keeps := range []bool{false, true} {
		if keeps {
			b.write("bird.conf", strings.Replace(string(read(t, b.config)), "graceful restart on;", "graceful restart on; long lived graceful restart on;", 1))
			b.birdc("configure")
		}
		m := speak(t, site(func(cfg *topology.BGP) { cfg.Restart.LongLived = time.Hour }), vip4)
		m.send(only(vip4), web1)
		told := strings.Join(m.established().Problems, "")
		if says := strings.Contains(told, "does no long-lived graceful restart (RFC 9494)"); says == keeps {
			t.Errorf("the router keeps routes: %v; told: %q", keeps, told)
		}
		m.host.Close()
	}
}

// TestRoutesLiveLongOnFRR: the same.
func TestRoutesLiveLongOnFRR(t *testing.T) {
	if elsewhere(t) {
		return
	}
	f := newRouter(t).startFRR(strings.Replace(frrConfig, "preserve-fw-state\n", "preserve-fw-state\n bgp long-lived-graceful-restart stale-time 3600\n", 1))
	directory := t.TempDir()
	speaker := spawn(t, directory, longLived+"=1")
	f.routes(vip4, web2)
	f.routes(vip6, web26)
	gone4, gone6 := f.removals(vip4), f.removals(vip6)
	kill(speaker)
	stale := func(family string, p netip.Prefix) bool {
		return strings.Contains(f.show("show bgp "+family+" unicast "+p.String()), "llgr-stale")
	}
	f.soon("FRR keeps the routes as a last resort", func() bool { return stale("ipv4", vip4) && stale("ipv6", vip6) })
	f.routes(vip4, web2)
	spawn(t, directory, longLived+"=1")
	f.soon("FRR has them anew", func() bool { return !stale("ipv4", vip4) && !stale("ipv6", vip6) })
	f.routes(vip4, web2)
	f.routes(vip6, web26)
	if gaps := append(gone4(), gone6()...); len(gaps) > 0 {
		t.Errorf("routes went: %v", gaps)
	}
}

func defaultRestart() topology.Restart { return topology.Restart{Time: 2 * time.Minute} }

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestAtExit: routers keep what was announced, or drop it at once.
func TestAtExit(t *testing.T) {
	if elsewhere(t) {
		return
	}
	for _, c := range []struct {
		atExit topology.AtExit
		want   []netip.Addr
	}{{topology.AtExitKeep, []netip.Addr{web1}}, {topology.AtExitWithdraw, nil}} {
		t.Run(string(c.atExit), func(t *testing.T) {
			b := newRouter(t).startBird(birdConfig)
			m := speak(t, site(func(cfg *topology.BGP) { cfg.AtExit = c.atExit }), vip4)
			m.send(only(vip4), web1)
			b.routes(vip4, web1)
			m.host.Close()
			b.soon("BIRD has seen it", func() bool { return !strings.Contains(b.birdc("show protocols routesteer"), "Established") })
			b.routes(vip4, c.want...)
			_, err := os.Stat(m.memory())
			if kept := err == nil; kept != (c.atExit == topology.AtExitKeep) {
				t.Errorf("the memory is kept: %v", kept)
			}
		})
	}
}

func (m *mouth) memory() string { return filepath.Join(m.host.directory, "bgp-edge.json") }

// TestTheMemoryIsNoBetterThanTheRouters: what routers have forgotten counts for
// nothing, nor what somebody has broken.
func TestTheMemoryIsNoBetterThanTheRouters(t *testing.T) {
	newRouter(t)
	router := site(nil)
	m := speak(t, router, vip4, vip6)
	m.send(only(vip4), web1)
	m.send(only(vip6), web16)
	for _, c := range []struct {
		name    string
		prepare func()
		want    int
	}{
		{"fresh", func() {}, 2},
		{"old", func() {
			old := time.Now().Add(-3 * time.Minute)
			if err := os.Chtimes(m.memory(), old, old); err != nil {
				t.Fatal(err)
			}
		}, 0},
		{"broken", func() {
			if err := os.WriteFile(m.memory(), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, 0},
		{"missing", func() { _ = os.Remove(m.memory()) }, 0},
	} {
		m.host.Close()
		c.prepare()
		m.driver = nil
		m.open(router, vip4, vip6, vip4b)
		if routes, err := m.driver.Routes(t.Context()); err != nil || len(routes) != c.want {
			t.Errorf("%s: found %v, %v; want %d", c.name, routes, err, c.want)
		}
		m.send(only(vip4), web1)
		m.send(only(vip6), web16)
	}
}
