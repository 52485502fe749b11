package bgp

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/osrg/gobgp/v4/pkg/packet/mrt"

	"github.com/routesteer/routesteer/steer"
)

// BenchmarkBesideOthers moves 10,000 prefixes to and fro by announcing them to
// BIRD, and takes the time until the last is in the kernel of BIRD's router. The
// others are fed with a file of the same routes. "times-gobgp" and "times-exabgp"
// are ours, as a multiple of theirs: docs/performance.md.
func BenchmarkBesideOthers(b *testing.B) {
	const n = 10_000
	r := newRouter(b)
	r.startBird(birdConfig)
	prefixes := many(n)
	took := map[string]time.Duration{}
	for _, speaker := range []announcer{&ourselves{}, &gobgpd{}, &exabgp{}} {
		name := strings.TrimPrefix(fmt.Sprintf("%T", speaker), "*bgp.")
		speaker.start(b, r, prefixes)
		move := func(hop netip.Addr) time.Duration {
			arrived := r.arrivals(prefixes, hop)
			began := time.Now()
			speaker.announce(b, hop)
			return arrived().Sub(began)
		}
		move(web2)
		for i := range 2 * b.N {
			took[name] += move([]netip.Addr{web1, web2}[i%2])
		}
		speaker.stop()
		r.soon("BIRD has no routes", func() bool { return r.via(prefixes[0]) == nil && r.via(prefixes[n-1]) == nil })
	}
	for name, all := range took {
		b.ReportMetric(float64(all.Milliseconds())/float64(2*b.N), "ms-"+name)
	}
	b.ReportMetric(float64(took["ourselves"])/float64(took["gobgpd"]), "times-gobgp")
	b.ReportMetric(float64(took["ourselves"])/float64(took["exabgp"]), "times-exabgp")
}

// An announcer is a BGP speaker beside the router.
type announcer interface {
	start(b *testing.B, r *router, prefixes []netip.Prefix)
	announce(b *testing.B, hop netip.Addr) // of all prefixes; it may return sooner than it is done
	stop()
}

type ourselves struct {
	prefixes []netip.Prefix
	host     *Host
	driver   *Driver
}

func (o *ourselves) start(b *testing.B, _ *router, prefixes []netip.Prefix) {
	o.prefixes, o.host = prefixes, NewHost(b.TempDir(), quiet())
	router := site(nil)
	router.BGP.AtExit = "withdraw"
	var err error
	if o.driver, err = o.host.Open(router, vips(prefixes...)); err != nil {
		b.Fatal(err)
	}
}

func (o *ourselves) announce(b *testing.B, hop netip.Addr) {
	c := steer.Change{Op: steer.Replace, Prefixes: o.prefixes, To: to(hop)}
	if _, err := o.driver.Apply(context.Background(), []steer.Change{c}); err != nil {
		b.Fatal(err)
	}
}

func (o *ourselves) stop() { o.host.Close() }

// A gobgpd is the daemon, which its client feeds with a file of routes (MRT).
type gobgpd struct {
	server *exec.Cmd
	file   string
}

func (g *gobgpd) start(b *testing.B, r *router, prefixes []netip.Prefix) {
	r.here("ip link set lo up") // over which its client reaches it
	config := r.write("gobgpd.toml", `
[global.config]
  as = 65000
  router-id = "192.0.2.2"
  port = -1
[[neighbors]]
  [neighbors.config]
    neighbor-address = "192.0.2.1"
    peer-as = 65001
`)
	// Its client ends with what it has not sent yet: of each file the last 700 routes
	// or so get lost. So there are more in it, for which nobody waits.
	g.file = r.write("routes.mrt", dump(b, many(len(prefixes)+2000)))
	g.server = beside(b, r, "gobgpd", "gobgpd", "-f", config, "--api-hosts", "127.0.0.1:50051")
	r.soon("gobgpd has a session", func() bool {
		out, _ := exec.Command(program("gobgpd", "gobgp"), "neighbor").Output()
		return bytes.Contains(out, []byte("Establ"))
	})
}

func (g *gobgpd) announce(b *testing.B, hop netip.Addr) {
	out, err := exec.Command(program("gobgpd", "gobgp"), "mrt", "inject", "global", "--nexthop", hop.String(), g.file).CombinedOutput()
	if err != nil {
		b.Fatalf("gobgp: %v\n%s", err, out)
	}
}

func (g *gobgpd) stop() { end(g.server) }

// dump writes a table of the prefixes, as RFC 6396 has it.
func dump(b *testing.B, prefixes []netip.Prefix) string {
	b.Helper()
	var text strings.Builder
	add := func(subtype mrt.MRTSubTypeTableDumpv2, body mrt.Body) {
		message, err := mrt.NewMRTMessage(time.Unix(0, 0), mrt.TABLE_DUMPv2, subtype, body)
		if err != nil {
			b.Fatal(err)
		}
		data, err := message.Serialize()
		if err != nil {
			b.Fatal(err)
		}
		text.Write(data)
	}
	add(mrt.PEER_INDEX_TABLE, mrt.NewPeerIndexTable(ours4, "", []*mrt.Peer{mrt.NewPeer(ours4, ours4, ourAS, true)}))
	next, err := bgp.NewPathAttributeNextHop(web1)
	if err != nil {
		b.Fatal(err)
	}
	for i, p := range prefixes {
		nlri, err := bgp.NewIPAddrPrefix(p)
		if err != nil {
			b.Fatal(err)
		}
		attributes := []bgp.PathAttributeInterface{bgp.NewPathAttributeOrigin(0), bgp.NewPathAttributeAsPath(nil), next}
		entry := mrt.NewRibEntry(0, 0, 0, attributes, false)
		add(mrt.RIB_IPV4_UNICAST, mrt.NewRib(uint32(i), bgp.RF_IPv4_UC, nlri, []*mrt.RibEntry{entry}))
	}
	return text.String()
}

// An exabgp is ExaBGP, to which a script of its own prints files of commands. The
// other way, to have it read its configuration again, finds no change in one whose
// next hops have changed (4.2.21).
type exabgp struct {
	router *router
	server *exec.Cmd
	files  map[netip.Addr]string
	feed   string // a pipe, to which names of files are written
}

func (e *exabgp) start(b *testing.B, r *router, prefixes []netip.Prefix) {
	e.router, e.feed, e.files = r, filepath.Join(r.dir, "feed"), map[netip.Addr]string{}
	for _, hop := range []netip.Addr{web1, web2} {
		e.files[hop] = r.write(hop.String(), commands(prefixes, hop))
	}
	if err := syscall.Mkfifo(e.feed, 0o600); err != nil {
		b.Fatal(err)
	}
	script := r.write("feed.sh", "#!/bin/sh\nwhile read -r file <"+e.feed+"; do cat \"$file\"; done\n")
	if err := os.Chmod(script, 0o700); err != nil {
		b.Fatal(err)
	}
	config := r.write("exabgp.conf", `
process feed { run `+script+`; encoder text; }
neighbor 192.0.2.1 {
	router-id 192.0.2.2; local-address 192.0.2.2; local-as 65000; peer-as 65001;
	family { ipv4 unicast; }
	api { processes [ feed ]; }
}
`)
	e.server = beside(b, r, "exabgp", "python3", "-m", "exabgp", config)
	r.soon("BIRD has a session", func() bool {
		out, err := r.try(append(birdProgram("birdc"), "-s", filepath.Join(r.dir, "bird.ctl"), "show", "protocols", "routesteer")...)
		return err == nil && strings.Contains(out, "Established")
	})
}

// commands are those that announce the prefixes, many in a line, as it is fastest.
func commands(prefixes []netip.Prefix, hop netip.Addr) string {
	var text strings.Builder
	for part := range slices.Chunk(prefixes, 100) {
		fmt.Fprintf(&text, "announce attributes next-hop %s nlri", hop)
		for _, p := range part {
			fmt.Fprintf(&text, " %s", p)
		}
		text.WriteString("\n")
	}
	return text.String()
}

func (e *exabgp) announce(b *testing.B, hop netip.Addr) {
	if err := os.WriteFile(e.feed, []byte(e.files[hop]+"\n"), 0); err != nil {
		b.Fatal(err)
	}
}

func (e *exabgp) stop() { end(e.server) }

// beside starts a program of a package in the speaker's place.
func beside(b *testing.B, r *router, pkg, name string, args ...string) *exec.Cmd {
	b.Helper()
	log, err := os.Create(filepath.Join(r.dir, name+".log"))
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(program(pkg, name), args...)
	cmd.Env = append(os.Environ(), "exabgp.daemon.drop=false", "exabgp.api.cli=false", "exabgp.api.ack=false", "exabgp.log.level=ERR",
		"PYTHONPATH="+unpackedPath("exabgp", "usr/lib/python3/dist-packages"))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { end(cmd) })
	return cmd
}

func end(cmd *exec.Cmd) {
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	_ = cmd.Wait()
}

// program finds a program of a package: installed, or unpacked.
func program(pkg, name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return unpackedPath(pkg, "usr/bin/"+name)
}

func unpackedPath(pkg, name string) string { return filepath.Join("../../build/hosts", pkg, name) }
