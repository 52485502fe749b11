package iostest_test

import (
	"bytes"
	"crypto/ed25519"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"golang.org/x/crypto/ssh"

	"github.com/routesteer/routesteer/drivers/cisco/iostest"
)

// A client is somebody at a terminal, inside a synctest bubble: what the
// router says is complete once everything waits.
type client struct {
	t  *testing.T
	c  *ssh.Client
	s  *ssh.Session
	in io.Writer

	mu   sync.Mutex
	said bytes.Buffer
}

func (c *client) Write(data []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said.Write(data)
}

// settings of the client that all tests use.
func settings(r *iostest.Router) *ssh.ClientConfig {
	return &ssh.ClientConfig{
		User: "admin", Auth: []ssh.AuthMethod{ssh.Password("cisco")},
		HostKeyCallback: ssh.FixedHostKey(r.HostKey()),
	}
}

// connect logs in.
func connect(t *testing.T, r *iostest.Router, config *ssh.ClientConfig) (*ssh.Client, error) {
	t.Helper()
	conn, err := r.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, channels, requests, err := ssh.NewClientConn(conn, "router", config)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return ssh.NewClient(c, channels, requests), nil
}

// login opens a terminal, which the end of the test closes.
func login(t *testing.T, r *iostest.Router) *client {
	t.Helper()
	c, err := connect(t, r, settings(r))
	if err != nil {
		t.Fatal(err)
	}
	return shell(t, c)
}

func shell(t *testing.T, c *ssh.Client) *client {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	one := &client{t: t, c: c, s: s}
	s.Stdout, s.Stderr = one, io.Discard
	if one.in, err = s.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := s.RequestPty("vt100", 24, 511, ssh.TerminalModes{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Shell(); err != nil {
		t.Fatal(err)
	}
	return one
}

// raw returns all that was said since the last look.
func (c *client) raw() string {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.said.Reset()
	return c.said.String()
}

// heard is raw with plain line ends.
func (c *client) heard() string { return strings.ReplaceAll(c.raw(), "\r\n", "\n") }

// key sends bytes and returns what they caused.
func (c *client) key(keys string) string {
	c.t.Helper()
	io.WriteString(c.in, keys) // a closed terminal is seen by what it says
	return c.heard()
}

// types sends lines and returns all answers.
func (c *client) types(lines ...string) string {
	c.t.Helper()
	said := ""
	for _, line := range lines {
		said += c.key(line + "\r")
	}
	return said
}

// alive tells whether the connection still stands.
func (c *client) alive() bool {
	synctest.Wait()
	_, _, err := c.c.SendRequest("keepalive@openssh.com", true, nil)
	return err == nil
}

func (c *client) close() { c.c.Close() }

// with runs a test with a router and a terminal of it, inside a bubble.
func with(t *testing.T, o iostest.Options, test func(t *testing.T, r *iostest.Router, c *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if o.Dialect == "" {
			o.Dialect = "ios"
		}
		r := iostest.New(o)
		defer r.Close()
		c := login(t, r)
		defer c.close()
		test(t, r, c)
	})
}

// contains fails unless text holds all parts.
func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q\nis not in\n%q", part, text)
		}
	}
}

// signer is a client's key.
func signer() ssh.Signer {
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize)))
	if err != nil {
		panic(err)
	}
	return s
}
