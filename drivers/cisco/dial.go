package cisco

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"

	"github.com/routesteer/routesteer/internal/secret"
	"github.com/routesteer/routesteer/topology"
)

// loginTimeout bounds the connection and the login, without the shell.
const loginTimeout = 20 * time.Second

// address is where a router's SSH server is.
func address(cfg topology.Cisco) string {
	return net.JoinHostPort(cfg.Address.String(), strconv.Itoa(int(cfg.Port)))
}

// dialTCP connects to a router.
func dialTCP(cfg topology.Cisco) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", address(cfg))
	}
}

// connect connects and logs in. It returns the secrets that it used, to be kept
// out of sight.
func connect(ctx context.Context, cfg topology.Cisco, dial func(context.Context) (net.Conn, error)) (*ssh.Client, []string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, loginTimeout, fmt.Errorf("no login within %s", loginTimeout))
	defer cancel()
	config, secrets, err := clientConfig(cfg)
	if err != nil {
		return nil, nil, err
	}
	conn, err := dial(ctx)
	if err != nil {
		return nil, secrets, fmt.Errorf("connect to %s: %w", address(cfg), because(ctx, err))
	}
	// The library knows no context, and its time-out is for the connection alone.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	c, channels, requests, err := ssh.NewClientConn(conn, address(cfg), config)
	if err != nil {
		stop()
		return nil, secrets, errors.Join(fmt.Errorf("log in at %s as %s: %w", address(cfg), cfg.User, because(ctx, advise(cfg, err))), closed(conn))
	}
	if !stop() {
		return nil, secrets, errors.Join(fmt.Errorf("log in at %s as %s: %w", address(cfg), cfg.User, context.Cause(ctx)), closed(c))
	}
	return ssh.NewClient(c, channels, requests), secrets, nil
}

// closed closes what may be closed already.
func closed(c interface{ Close() error }) error {
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// because is why ctx ended, if it has, in place of an error that is only its
// consequence.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// clientConfig is who we are to the router, and whom we take it for.
func clientConfig(cfg topology.Cisco) (*ssh.ClientConfig, []string, error) {
	config := &ssh.ClientConfig{User: cfg.User, Config: algorithms(cfg.LegacyAlgorithms), BannerCallback: ssh.BannerCallback(func(string) error { return nil })}
	if err := trust(cfg, config); err != nil {
		return nil, nil, err
	}
	var secrets []string
	if cfg.KeyFile != "" {
		signer, err := readKey(cfg.KeyFile)
		if err != nil {
			return nil, nil, err
		}
		config.Auth = append(config.Auth, ssh.PublicKeys(signer))
	}
	password, err := secret.Read(cfg.Password)
	if err != nil {
		return nil, nil, err
	}
	if password != "" {
		secrets = append(secrets, password)
		config.Auth = append(config.Auth, ssh.Password(password), ssh.KeyboardInteractive(answer(password)))
	}
	return config, secrets, nil
}

// otherSecret is a question whose answer is no password: of an account whose
// password is to be changed, or of a second factor.
var otherSecret = regexp.MustCompile(`(?i)\b(new|retype|re-enter|again|verification|one-time|otp|token|code)\b`)

// answer answers the questions of keyboard-interactive authentication: with the
// password, if the answer is not shown and nothing else is asked for.
func answer(password string) ssh.KeyboardInteractiveChallenge {
	return func(_, _ string, questions []string, echos []bool) ([]string, error) {
		answers := make([]string, len(questions))
		for i, question := range questions {
			if echos[i] || otherSecret.MatchString(question) {
				return nil, fmt.Errorf("the router asks %q, which is no password", quote(question))
			}
			answers[i] = password
		}
		return answers, nil
	}
}

// readKey reads a private key that nobody else can read.
func readKey(path string) (ssh.Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the private key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return nil, fmt.Errorf("read the private key: everybody has access to %s (mode %04o): chmod o= %[1]s", path, mode)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the private key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	var sealed *ssh.PassphraseMissingError
	if errors.As(err, &sealed) {
		return nil, fmt.Errorf("read the private key %s: it has a passphrase, which nobody can type here: make one without (ssh-keygen -p -N '' -f %[1]s)", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the private key %s: %w", path, err)
	}
	return signer, nil
}

// algorithms is what may be agreed on. The library's defaults still have SHA-1.
func algorithms(legacy bool) ssh.Config {
	good, bad := ssh.SupportedAlgorithms(), ssh.InsecureAlgorithms()
	config := ssh.Config{KeyExchanges: good.KeyExchanges, Ciphers: good.Ciphers, MACs: good.MACs}
	if legacy {
		config.KeyExchanges = append(slices.Clone(good.KeyExchanges), bad.KeyExchanges...)
		config.Ciphers = append(slices.Clone(good.Ciphers), bad.Ciphers...)
		config.MACs = append(slices.Clone(good.MACs), bad.MACs...)
	}
	return config
}

// hostKeyAlgorithms is how a router may prove who it is.
func hostKeyAlgorithms(legacy bool) []string {
	all := ssh.SupportedAlgorithms().HostKeys
	if legacy {
		all = append(slices.Clone(all), ssh.InsecureAlgorithms().HostKeys...)
	}
	return all
}

// trust sets which host keys are accepted: always those that the operator knows.
func trust(cfg topology.Cisco, config *ssh.ClientConfig) error {
	config.HostKeyAlgorithms = hostKeyAlgorithms(cfg.LegacyAlgorithms)
	if cfg.HostKey != "" {
		config.HostKeyCallback = func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if got := ssh.FingerprintSHA256(key); got != cfg.HostKey {
				return fmt.Errorf("%w: it has %s, and the file says host_key: %s", errHostKey, got, cfg.HostKey)
			}
			return nil
		}
		return nil
	}
	known, err := knownhosts.NewDB(cfg.KnownHosts)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: there is no %s: routesteer router trust stores its key", errNoHostKey, cfg.KnownHosts)
	}
	if err != nil {
		return fmt.Errorf("read known hosts: %w", err)
	}
	// The router is asked for a key of a kind that the file has. Otherwise one
	// with several keys may show another, which would look like a false one.
	if kinds := known.HostKeyAlgorithms(address(cfg)); len(kinds) > 0 {
		config.HostKeyAlgorithms = slices.DeleteFunc(kinds, func(kind string) bool {
			return !slices.Contains(hostKeyAlgorithms(cfg.LegacyAlgorithms), kind)
		})
	}
	config.HostKeyCallback = func(host string, remote net.Addr, key ssh.PublicKey) error {
		// The address is what the file says, wherever the connection came from.
		err := known.HostKeyCallback()(address(cfg), &net.TCPAddr{IP: cfg.Address.AsSlice(), Port: int(cfg.Port)}, key)
		switch {
		case knownhosts.IsHostKeyChanged(err):
			return fmt.Errorf("%w: it has %s, and %s another: if the router was replaced, remove its line there and run routesteer router trust; if not, somebody may be in between",
				errHostKey, ssh.FingerprintSHA256(key), cfg.KnownHosts)
		case knownhosts.IsHostUnknown(err):
			return fmt.Errorf("%w: %s does not have %s (%s): routesteer router trust stores it", errNoHostKey, cfg.KnownHosts, address(cfg), ssh.FingerprintSHA256(key))
		}
		return err
	}
	return nil
}

var (
	errHostKey   = errors.New("the router's host key is not the one that is known")
	errNoHostKey = errors.New("the router's host key is not known")
)

// advise adds what an operator can do to errors that do not say.
func advise(cfg topology.Cisco, err error) error {
	switch text := err.Error(); {
	case errors.Is(err, errHostKey), errors.Is(err, errNoHostKey):
		return err
	case strings.Contains(text, "no common algorithm for host key") && cfg.KnownHosts != "":
		return fmt.Errorf("%w: it shows none of the kinds that %s has for it; if the router was replaced, remove its lines there and run routesteer router trust (%w)", errHostKey, cfg.KnownHosts, err)
	case strings.Contains(text, "no common algorithm") && !cfg.LegacyAlgorithms:
		return fmt.Errorf("%w; an old router may need legacy_algorithms: true", err)
	case strings.Contains(text, "unable to authenticate"):
		return fmt.Errorf("the router refuses key_file and password: %w", err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("the router hangs up: are all of its terminal lines (VTYs) taken, or is this address not allowed? %w", err)
	}
	return err
}
