// Package frr runs a real FRR behind a real SSH server in a network namespace,
// for labs and for tests of what steers such a router.
//
// A router is a process namespace with a root directory in memory over this
// machine's: FRR's configuration, its sockets, accounts and keys are in it and
// nowhere else, so that routers do not see each other, nor an FRR of this
// machine's own. It is gone with its first process, which is killed when the
// network namespace is closed or this process ends, however it ends.
//
// The scripts router.sh and user.sh are what is done in it, and what
// docs/cisco.md tells operators to do.
package frr

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/routesteer/routesteer/internal/netns"
)

var (
	//go:embed boot.sh
	bootScript string
	//go:embed router.sh
	routerScript string
	//go:embed user.sh
	userScript string
	//go:embed sshd.conf
	sshdConfig string
)

// startTimeout bounds a start, which takes less than a second where there is
// time for it.
const startTimeout = 30 * time.Second

// Options says what router to start. Only Dir must be given.
type Options struct {
	// Dir is a directory for the client's key and the router's log. The caller
	// makes it, for its user only, and removes it.
	Dir      string
	Name     string   // of the host, and so in the prompt; default "edge"
	Port     uint16   // of the SSH server at 127.0.0.1; default 22
	Daemons  []string // of FRR, beside zebra and staticd: "bgpd", "bfdd"
	Config   string   // FRR's configuration at the start, as frr.conf
	Unpacked []string // directories with packages that are not installed, as scripts/test-tools unpacks them
}

// A Router is an FRR that runs, with the means to log in to it. Its fields are
// immutable; its methods may be called by several goroutines.
type Router struct {
	Address    netip.AddrPort // of the SSH server, in the network namespace
	User       string         // who may log in, and gets vtysh
	HostKey    ssh.PublicKey
	KeyFile    string // path of the client's private key
	KnownHosts string // path of a file with the host key, as OpenSSH has it

	ns     *netns.Namespace
	name   string
	log    string
	client ssh.Signer
	cmd    *exec.Cmd
	done   chan struct{} // closed when the router has ended

	listener int // process of the SSH server
}

// Start starts a router in the network namespace and returns when it can be
// logged in to. The namespace should forward packets by then: zebra writes
// into its configuration what it finds. It needs root.
func Start(ns *netns.Namespace, options Options) (*Router, error) {
	r, err := start(ns, options)
	if err != nil {
		return nil, fmt.Errorf("start FRR in namespace %s: %w", ns.Name, err)
	}
	return r, nil
}

func start(ns *netns.Namespace, options Options) (*Router, error) {
	if err := Possible(options.Unpacked...); err != nil {
		return nil, err
	}
	if options.Name == "" {
		options.Name = "edge"
	}
	if options.Port == 0 {
		options.Port = 22
	}
	r := &Router{
		Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), options.Port), User: "routesteer",
		KeyFile: filepath.Join(options.Dir, "id_ed25519"), KnownHosts: filepath.Join(options.Dir, "known_hosts"),
		ns: ns, name: options.Name, log: filepath.Join(options.Dir, "frr.log"), done: make(chan struct{}),
	}
	var err error
	if r.client, err = writeKey(r.KeyFile); err != nil {
		return nil, err
	}
	hostKey, err := r.boot(options)
	if err == nil {
		err = errors.Join(r.trust(hostKey), r.findListener())
	}
	if err != nil && r.cmd != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, err
}

// boot starts the first process and returns what it prints when all is up.
func (r *Router) boot(options Options) (string, error) {
	stdout, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer stdout.Close()
	if err := errors.Join(r.run(options, w), w.Close()); err != nil {
		return "", err
	}
	if err := stdout.SetReadDeadline(time.Now().Add(startTimeout)); err != nil {
		return "", err
	}
	said, err := io.ReadAll(io.LimitReader(stdout, 4096))
	if err != nil {
		return "", fmt.Errorf("wait until it is up: %w; %s", err, r.lastWords())
	}
	if len(said) == 0 {
		return "", fmt.Errorf("it ended at once; %s", r.lastWords())
	}
	return string(said), nil
}

// run starts the first process in namespaces of its own.
func (r *Router) run(options Options, stdout *os.File) error {
	log, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	unpacked, err := absolute(options.Unpacked)
	if err != nil {
		return err
	}
	authorized := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(r.client.PublicKey())))
	cmd := exec.Command("/bin/sh", "-c", bootScript, "boot.sh", strings.Join(unpacked, " "), routerScript,
		r.name, fmt.Sprint(r.Address.Port()), authorized, strings.Join(options.Daemons, " "), userScript, sshdConfig)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(options.Config), stdout, log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:       true, // the terminal's Ctrl-C is not for it
		Cloneflags:   syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Unshareflags: syscall.CLONE_NEWNS,
	}
	if err := r.ns.Start(cmd); err != nil {
		return err
	}
	r.cmd = cmd
	go func() {
		defer close(r.done)
		_ = cmd.Wait() // it is killed in the end; if it ends before, the log has why
	}()
	return nil
}

// trust notes the host key that the router said.
func (r *Router) trust(hostKey string) error {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(hostKey))
	if err != nil {
		return fmt.Errorf("read its host key %q: %w", hostKey, err)
	}
	r.HostKey = key
	host := r.Address.Addr().String()
	if r.Address.Port() != 22 {
		host = fmt.Sprintf("[%s]:%d", host, r.Address.Port())
	}
	line := host + " " + string(ssh.MarshalAuthorizedKey(key))
	return os.WriteFile(r.KnownHosts, []byte(line), 0o600)
}

// Stop ends the router and everything in it, at once, as a power failure
// would, and returns when nothing of it runs. Routes stay in the kernel. A
// router that has ended already is no error.
func (r *Router) Stop() error {
	err := r.cmd.Process.Kill()
	<-r.done // the kernel ends a process namespace with its first process
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop FRR in namespace %s: %w", r.ns.Name, err)
	}
	return nil
}

// Saved returns the configuration with which FRR would start again.
func (r *Router) Saved() (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/etc/frr/frr.conf", r.cmd.Process.Pid))
	if err != nil {
		return "", fmt.Errorf("read the saved configuration of %s: %w", r.name, err)
	}
	return string(text), nil
}

// Done is closed when the router has ended.
func (r *Router) Done() <-chan struct{} { return r.done }

// Dial connects to the SSH server from within the network namespace.
func (r *Router) Dial(ctx context.Context) (conn net.Conn, err error) {
	err = r.ns.Do(func() error {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", r.Address.String())
		return err
	})
	return conn, err
}

// lastWords returns the end of the router's log, for errors.
func (r *Router) lastWords() string {
	text, err := os.ReadFile(r.log)
	text = text[max(0, len(text)-2000):]
	if err != nil || len(strings.TrimSpace(string(text))) == 0 {
		return "it wrote nothing to its log"
	}
	return "its last words:\n" + strings.TrimSpace(string(text))
}

// absolute makes paths that a process with another directory understands.
func absolute(paths []string) ([]string, error) {
	paths = slices.Clone(paths)
	for i := range paths {
		var err error
		if paths[i], err = filepath.Abs(paths[i]); err != nil {
			return nil, err
		}
		if strings.ContainsAny(paths[i], " \t\n") {
			return nil, fmt.Errorf("the path %q has a space in it", paths[i])
		}
	}
	return paths, nil
}
