package frr

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// commandTimeout bounds one Vtysh: a login and commands that take no time.
const commandTimeout = time.Minute

// writeKey makes a key for the client and writes it to a file for this user.
func writeKey(path string) (ssh.Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "routesteer")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	return ssh.NewSignerFromKey(key)
}

// Login opens a connection to the router as its user. The caller closes it.
func (r *Router) Login(ctx context.Context) (*ssh.Client, error) {
	conn, err := r.Dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("log in to %s: %w", r.name, err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	c, channels, requests, err := ssh.NewClientConn(conn, r.Address.String(), &ssh.ClientConfig{
		User: r.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(r.client)}, HostKeyCallback: ssh.FixedHostKey(r.HostKey),
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("log in to %s: %w", r.name, err), conn.Close())
	}
	return ssh.NewClient(c, channels, requests), nil
}

// Vtysh logs in, gives vtysh the commands, one a line, and returns what it
// answers. vtysh stops at the first command that it does not know, and leaves
// those before it done. An answer that vtysh marks as a refusal, with %, is an
// error that quotes it.
func (r *Router) Vtysh(commands ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	client, err := r.Login(ctx)
	if err != nil {
		return "", err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return "", fmt.Errorf("open a session with %s: %w", r.name, err)
	}
	text, err := session.CombinedOutput(strings.Join(commands, "\n"))
	if err != nil {
		return string(text), fmt.Errorf("%s: %q: %w; it said:\n%s", r.name, commands, err, text)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(strings.TrimSpace(line), "%") {
			return string(text), fmt.Errorf("%s: %q: it said:\n%s", r.name, commands, text)
		}
	}
	return string(text), nil
}

// Configure is Vtysh in configuration mode.
func (r *Router) Configure(lines ...string) error {
	_, err := r.Vtysh(append([]string{"configure terminal"}, lines...)...)
	return err
}

// Type logs in, waits for the prompt, and types lines as a script does: one, and
// after a while the next, whatever vtysh answers. It returns when vtysh has ended.
func (r *Router) Type(ctx context.Context, between time.Duration, lines ...string) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout+time.Duration(len(lines))*between)
	defer cancel()
	client, err := r.Login(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return fmt.Errorf("open a session with %s: %w", r.name, err)
	}
	stdin, err := session.StdinPipe()
	stdout, noOutput := session.StdoutPipe()
	if err = errors.Join(err, noOutput); err == nil {
		err = session.Shell()
	}
	if err != nil {
		return fmt.Errorf("open a session with %s: %w", r.name, err)
	}
	defer context.AfterFunc(ctx, func() { client.Close() })()
	screen := bufio.NewReader(stdout)
	if _, err := screen.ReadString('#'); err != nil {
		return fmt.Errorf("wait for the prompt of %s: %w", r.name, err)
	}
	go io.Copy(io.Discard, screen) // until vtysh has ended
	for _, line := range lines {
		if _, err := fmt.Fprintln(stdin, line); err != nil {
			return fmt.Errorf("type %q at %s: %w", line, r.name, err)
		}
		select {
		case <-time.After(between):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := stdin.Close(); err != nil {
		return fmt.Errorf("leave %s: %w", r.name, err)
	}
	return session.Wait()
}
