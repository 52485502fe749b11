package cisco

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"

	"github.com/routesteer/routesteer/topology"
)

// A HostKey is what a router shows to prove who it is.
type HostKey struct {
	Address     string // of its SSH server, with the port
	Fingerprint string // "SHA256:…", as ssh-keygen -l prints it
	Kind        string // "ssh-ed25519"
	Known       bool   // it is the one that is known already
	key         ssh.PublicKey
}

// AskHostKey connects to a router and returns its host key, without logging in.
// It fails if another key is known for that router: who replaces one removes the
// old one first.
func AskHostKey(ctx context.Context, cfg topology.Cisco) (HostKey, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, loginTimeout, fmt.Errorf("no host key within %s", loginTimeout))
	defer cancel()
	config := &ssh.ClientConfig{User: cfg.User, Config: algorithms(cfg.LegacyAlgorithms)}
	verdict := trust(cfg, config)
	if verdict != nil && !errors.Is(verdict, errNoHostKey) {
		return HostKey{}, verdict
	}
	verify := config.HostKeyCallback
	var shown HostKey
	config.HostKeyCallback = func(host string, remote net.Addr, key ssh.PublicKey) error {
		shown = HostKey{Address: address(cfg), Fingerprint: ssh.FingerprintSHA256(key), Kind: key.Type(), key: key}
		if verify != nil {
			verdict = verify(host, remote, key)
		}
		shown.Known = verdict == nil
		return errSeen
	}
	conn, err := dialTCP(cfg)(ctx)
	if err != nil {
		return HostKey{}, fmt.Errorf("connect to %s: %w", address(cfg), because(ctx, err))
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, _, _, err := ssh.NewClientConn(conn, address(cfg), config); shown.key == nil {
		return HostKey{}, fmt.Errorf("ask %s for its host key: %w", address(cfg), because(ctx, advise(cfg, err)))
	}
	if verdict != nil && !errors.Is(verdict, errNoHostKey) {
		return HostKey{}, verdict
	}
	return shown, nil
}

// errSeen ends a handshake whose only purpose was the host key.
var errSeen = errors.New("the host key was seen")

// Remember adds a host key to the router's known_hosts file, which is made if
// need be.
func Remember(cfg topology.Cisco, key HostKey) error {
	if err := os.MkdirAll(filepath.Dir(cfg.KnownHosts), 0o755); err != nil {
		return fmt.Errorf("store the host key: %w", err)
	}
	before, err := os.ReadFile(cfg.KnownHosts)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("store the host key: %w", err)
	}
	line := knownhosts.Line([]string{key.Address}, key.key) + "\n"
	if len(before) > 0 && before[len(before)-1] != '\n' {
		line = "\n" + line
	}
	file, err := os.OpenFile(cfg.KnownHosts, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("store the host key: %w", err)
	}
	_, err = file.WriteString(line)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("store the host key in %s: %w", cfg.KnownHosts, err)
	}
	return nil
}
