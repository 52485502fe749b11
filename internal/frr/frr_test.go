package frr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/internal/netns"
	"github.com/routesteer/routesteer/internal/netns/netnstest"
)

// unpacked is where scripts/test-tools puts packages that would change this
// machine's network if they were installed.
var unpacked = []string{"../../build/hosts/frr", "../../build/hosts/openssh-server"}

// TestMain makes the test binary also the starter that is killed.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "router-until-killed" {
		fmt.Fprintln(os.Stderr, routerUntilKilled(os.Args[2]))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// routerUntilKilled is a router in a process of its own, for a test to kill.
func routerUntilKilled(dir string) error {
	ns, err := netns.New("killed")
	if err != nil {
		return err
	}
	r, err := Start(ns, Options{Dir: dir, Unpacked: unpacked})
	if err != nil {
		return err
	}
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", r.cmd.Process.Pid))
	if err != nil {
		return err
	}
	fmt.Println(namespace)
	select {}
}

// namespace makes one that forwards, with a network 192.0.2.0/24.
func namespace(t *testing.T, name string) *netns.Namespace {
	t.Helper()
	ns := netnstest.New(t, name)
	err := ns.Do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "lan"
		lan := &netlink.Bridge{LinkAttrs: attrs}
		return errors.Join(
			os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644),
			netlink.LinkAdd(lan),
			netlink.AddrAdd(lan, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(192, 0, 2, 1), Mask: net.CIDRMask(24, 32)}}),
			netlink.LinkSetUp(lan))
	})
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

func router(t *testing.T, ns *netns.Namespace, options Options) *Router {
	t.Helper()
	options.Dir, options.Unpacked = t.TempDir(), unpacked
	r, err := Start(ns, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func vtysh(t *testing.T, r *Router, commands ...string) string {
	t.Helper()
	text, err := r.Vtysh(commands...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// frrStatic is the number that FRR gives static routes (RTPROT_ZSTATIC in its
// zebra/rt_netlink.h).
const frrStatic = 196

// routesOf returns the kernel's static routes of a namespace: those of FRR.
func routesOf(t *testing.T, ns *netns.Namespace) []string {
	t.Helper()
	handle, err := ns.Handle()
	if err != nil {
		t.Fatal(err)
	}
	defer handle.Close()
	routes, err := handle.RouteListFiltered(unix.AF_INET, &netlink.Route{Protocol: frrStatic}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, route := range routes {
		all = append(all, fmt.Sprintf("%s via %s", route.Dst, route.Gw))
	}
	slices.Sort(all)
	return all
}

func TestAnSSHUserSteersTheKernelThroughVtysh(t *testing.T) {
	ns := namespace(t, "edge")
	r := router(t, ns, Options{Config: "ip route 203.0.113.32/27 192.0.2.11\n"})
	// zebra installs when it finds the time: an answer to the next command is no proof.
	news := subscribe(t, ns)
	if err := r.Configure("ip route 203.0.113.64/27 192.0.2.12"); err != nil {
		t.Fatal(err)
	}
	news.await(t, "203.0.113.64/27 via 192.0.2.12")
	if got, want := routesOf(t, ns), []string{"203.0.113.32/27 via 192.0.2.11", "203.0.113.64/27 via 192.0.2.12"}; !slices.Equal(got, want) {
		t.Errorf("the kernel has %q, want %q", got, want)
	}
	if text := vtysh(t, r, "show running-config"); strings.Contains(text, "no ip forwarding") {
		t.Errorf("zebra found a kernel that does not forward:\n%s", text)
	}
}

func TestTheConfigurationIsSaved(t *testing.T) {
	r := router(t, namespace(t, "edge"), Options{})
	if err := r.Configure("ip route 203.0.113.32/27 192.0.2.11"); err != nil {
		t.Fatal(err)
	}
	if text := vtysh(t, r, "write memory"); !strings.Contains(text, "[OK]") {
		t.Errorf("write memory says %q, want [OK]", text)
	}
	saved, err := r.Saved()
	if err != nil || !strings.Contains(saved, "\nip route 203.0.113.32/27 192.0.2.11\n") {
		t.Errorf("saved is %q, %v; want the route in it", saved, err)
	}
	if own, err := os.ReadFile("/etc/frr/frr.conf"); err == nil && strings.Contains(string(own), "203.0.113.32/27") {
		t.Error("this machine's own configuration was written")
	}
}

func TestARefusalIsAnErrorInTheRoutersWords(t *testing.T) {
	r := router(t, namespace(t, "edge"), Options{})
	for command, want := range map[string]string{
		"ip route 203.0.113.32/27":                      "Command incomplete",
		"ip route 203.0.113.32/27 192.0.2.11 name web1": "Unknown command",
		"no ip route 203.0.113.32/27 192.0.2.11":        "Refusing to remove a non-existent route",
	} {
		if err := r.Configure(command); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", command, err, want)
		}
	}
}

// The files that are handed out are for OpenSSH's own client, too; and the
// user gets a prompt and nothing but vtysh.
func TestOpenSSHLogsIn(t *testing.T) {
	ns := namespace(t, "edge")
	r := router(t, ns, Options{Name: "r1", Port: 2222})
	ask := func(command ...string) string {
		args := append([]string{"-F", "none", "-tt", "-p", fmt.Sprint(r.Address.Port()), "-i", r.KeyFile,
			"-o", "UserKnownHostsFile=" + r.KnownHosts, "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes",
			r.User + "@" + r.Address.Addr().String()}, command...)
		cmd := exec.Command("ssh", args...)
		out, w := io.Pipe()
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("exit\r"), w, w
		if err := ns.Start(cmd); err != nil {
			t.Fatal(err)
		}
		go func() { w.CloseWithError(cmd.Wait()) }()
		text, _ := io.ReadAll(out) // how ssh ended is told by what it said
		return string(text)
	}
	if text := ask(); !strings.Contains(text, "r1# ") {
		t.Errorf("the terminal has %q, want FRR's prompt", text)
	}
	if text := ask("/bin/sh"); !strings.Contains(text, "Unknown command: /bin/sh") {
		t.Errorf("a shell says %q, want vtysh's refusal", text)
	}
}

func TestNobodyElseLogsIn(t *testing.T) {
	r := router(t, namespace(t, "edge"), Options{})
	conn, err := r.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stranger, err := writeKey(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, err = ssh.NewClientConn(conn, r.Address.String(), &ssh.ClientConfig{
		User: r.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(stranger), ssh.Password("")}, HostKeyCallback: ssh.FixedHostKey(r.HostKey),
	})
	if err == nil || !strings.Contains(err.Error(), "unable to authenticate") {
		t.Errorf("a stranger's key: %v, want a refusal", err)
	}
}

func TestRoutersDoNotSeeEachOther(t *testing.T) {
	one, two := namespace(t, "one"), namespace(t, "two")
	first := router(t, one, Options{Name: "one", Config: "ip route 203.0.113.32/27 192.0.2.11\n"})
	second := router(t, two, Options{Name: "two", Config: "ip route 203.0.113.32/27 192.0.2.12\n", Daemons: []string{"bgpd", "bfdd"}})
	if text := vtysh(t, first, "show running-config"); !strings.Contains(text, "192.0.2.11") || strings.Contains(text, "192.0.2.12") {
		t.Errorf("the first has %s", text)
	}
	if text := vtysh(t, second, "show daemons"); !strings.Contains(text, "bgpd") || !strings.Contains(text, "bfdd") {
		t.Errorf("the second runs %s, want bgpd and bfdd too", text)
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	if text := vtysh(t, second, "show running-config"); !strings.Contains(text, "192.0.2.12") {
		t.Errorf("when the first is gone the second has %s", text)
	}
}

func TestStopLeavesNoProcess(t *testing.T) {
	r := router(t, namespace(t, "edge"), Options{})
	client, err := r.Login(t.Context()) // somebody who is logged in
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	pids, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", r.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if all, err := processesIn(pids); err != nil || len(all) < 5 {
		t.Fatalf("running: %v, %v; want FRR's and the SSH server's processes", all, err)
	}
	if err := errors.Join(r.Stop(), r.Stop()); err != nil {
		t.Fatal(err)
	}
	if left, err := processesIn(pids); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v; want nothing", left, err)
	}
}

func TestNothingOutlivesAStarterThatIsKilled(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "router-until-killed", t.TempDir())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids string
	if _, err := fmt.Fscan(out, &pids); err != nil {
		t.Fatal(err)
	}
	all, err := processesIn(pids)
	if err != nil || len(all) < 5 {
		t.Fatalf("running: %v, %v; want FRR's and the SSH server's processes", all, err)
	}
	ends := endsOf(t, all)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, as it says
	for _, end := range ends {
		end()
	}
}

// endsOf opens processes, so that their ends can be waited for.
func endsOf(t *testing.T, all []process) []func() {
	t.Helper()
	var ends []func()
	for _, p := range all {
		fd, err := unix.PidfdOpen(p.pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, func() {
			defer unix.Close(fd)
			poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			if n, err := unix.Poll(poll, 10_000); n != 1 {
				t.Errorf("%s (%d) runs on: %v", p.name, p.pid, err)
			}
		})
	}
	return ends
}

func TestSessionsAreCutAndTheServerStays(t *testing.T) {
	r := router(t, namespace(t, "edge"), Options{})
	client, err := r.Login(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if n, err := r.CutSessions(); err != nil || n == 0 {
		t.Errorf("cut %d processes, %v; want some", n, err)
	}
	if err := client.Wait(); err == nil {
		t.Error("the session ended well, want it cut")
	}
	vtysh(t, r, "show version")
}

func TestAStartThatFailsSaysWhy(t *testing.T) {
	ns := namespace(t, "edge")
	first := router(t, ns, Options{Port: 2222})
	_, err := Start(ns, Options{Dir: t.TempDir(), Unpacked: unpacked, Port: first.Address.Port()})
	if err == nil || !strings.Contains(err.Error(), "Address already in use") {
		t.Errorf("a port that is taken: %v, want the SSH server's words", err)
	}
	if err := missing([]string{"/nowhere"}); err == nil || !strings.Contains(err.Error(), "apt-get install") || !strings.Contains(err.Error(), "openssh-server") {
		t.Errorf("without programs: %v, want the packages named", err)
	}
}

// In a user namespace one is root without being it.
func TestRootOfAUserNamespaceIsToldWhatIsNeeded(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := exec.CommandContext(context.Background(), "unshare", "--user", "--map-root-user", "--net",
		exe, "router-until-killed", t.TempDir()).CombinedOutput()
	if err == nil || !strings.Contains(string(text), "run as root") {
		t.Errorf("got %s, %v; want to be told to run it as root", text, err)
	}
}

// What operators are told to type is what was typed here.
func TestTheManualHasTheCommandsOfThisPackage(t *testing.T) {
	manual, err := os.ReadFile("../../docs/cisco.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{"user.sh": userScript, "sshd.conf": sshdConfig} {
		var block strings.Builder
		for line := range strings.Lines(script) {
			block.WriteString("    " + line)
		}
		if !strings.Contains(string(manual), "\n\n"+block.String()+"\n") {
			t.Errorf("docs/cisco.md has no block that is %s:\n%s", name, block.String())
		}
	}
	const options = "zebra_options='-A 127.0.0.1 -P 0 --v6-rr-semantics'"
	if !strings.Contains(string(manual), "\n    "+options+"\n") || !strings.Contains(routerScript, options) {
		t.Errorf("docs/cisco.md and router.sh do not agree on %s", options)
	}
}
