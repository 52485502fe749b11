package iostest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net"
	"slices"
	"sync"

	"golang.org/x/crypto/ssh"
)

// oldIOS says "Cisco-1.25", as the servers do that know nothing newer.
const oldIOS = "SSH-2.0-Cisco-1.25"

// newHostKey makes a host key. Equal seeds make equal keys, but for RSA.
func newHostKey(legacy bool, seed byte) ssh.Signer {
	if legacy {
		return newRSAKey()
	}
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed + 1}, ed25519.SeedSize))
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		panic("iostest: " + err.Error())
	}
	return signer
}

// newRSAKey makes a key that signs with SHA-1 only.
func newRSAKey() ssh.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic("iostest: " + err.Error())
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		panic("iostest: " + err.Error())
	}
	old, err := ssh.NewSignerWithAlgorithms(signer.(ssh.AlgorithmSigner), []string{ssh.KeyAlgoRSA})
	if err != nil {
		panic("iostest: " + err.Error())
	}
	return old
}

// serve speaks SSH on a connection to its end.
func (r *Router) serve(raw net.Conn) {
	if r.takeRefusal() {
		raw.Close()
		return
	}
	conn := newBuffered(raw)
	defer func() { <-conn.done }()
	defer conn.Close()
	if !r.track(conn) {
		return
	}
	defer r.untrack(conn)
	server, channels, requests, err := ssh.NewServerConn(conn, r.config())
	if err != nil {
		return // the client's to report
	}
	var all sync.WaitGroup
	defer all.Wait()
	gone := make(chan struct{})
	all.Go(func() { ssh.DiscardRequests(requests) })
	all.Go(func() {
		defer close(gone)
		server.Wait() // how it ended is the client's to report
	})
	r.channels(&all, conn, channels, gone)
}

// channels runs a shell in the first channel, and refuses others: a router
// has one a connection.
func (r *Router) channels(all *sync.WaitGroup, conn net.Conn, channels <-chan ssh.NewChannel, gone chan struct{}) {
	used := false
	for asked := range channels {
		if used || asked.ChannelType() != "session" {
			asked.Reject(ssh.ResourceShortage, "one session a connection")
			continue
		}
		used = true
		channel, requests, err := asked.Accept()
		if err != nil {
			return
		}
		s := newSession(r, conn, channel, gone)
		all.Go(func() { s.requests(requests) })
	}
}

// track enters a connection in the list, unless there is no VTY for it. NX-OS
// says so in the session instead.
func (r *Router) track(conn net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	limit := r.faults.SessionLimit
	if r.closed || limit > 0 && len(r.conns) >= limit && r.d.name != "nxos" {
		return false
	}
	r.conns[conn] = true
	return true
}

func (r *Router) untrack(conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, conn)
}

// config is the SSH server's for one connection.
func (r *Router) config() *ssh.ServerConfig {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := &ssh.ServerConfig{ServerVersion: "SSH-2.0-Cisco-2.0"}
	if r.faults.Legacy {
		c.ServerVersion = oldIOS
		c.KeyExchanges = []string{ssh.InsecureKeyExchangeDHGEXSHA1, ssh.InsecureKeyExchangeDH1SHA1}
		c.Ciphers = []string{ssh.InsecureCipherAES128CBC, ssh.InsecureCipherTripleDESCBC}
		c.MACs = []string{ssh.HMACSHA1}
	}
	if r.opts.Banner != "" {
		c.BannerCallback = func(ssh.ConnMetadata) string { return r.opts.Banner }
	}
	r.authenticate(c)
	c.AddHostKey(r.hostKey)
	return c
}

var errDenied = errors.New("authentication failed")

// authenticate sets the ways to log in.
func (r *Router) authenticate(c *ssh.ServerConfig) {
	check := func(user string, right bool) (*ssh.Permissions, error) {
		if user != r.opts.User || !right {
			return nil, errDenied
		}
		return nil, nil
	}
	if key := r.opts.Key; key != nil {
		c.PublicKeyCallback = func(m ssh.ConnMetadata, offered ssh.PublicKey) (*ssh.Permissions, error) {
			return check(m.User(), bytes.Equal(key.Marshal(), offered.Marshal()))
		}
	}
	if r.opts.Password == "" {
		return
	}
	c.KeyboardInteractiveCallback = func(m ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		answers, err := ask("", "", []string{"Password: "}, []bool{false})
		if err != nil {
			return nil, err
		}
		return check(m.User(), slices.Equal(answers, []string{r.opts.Password}))
	}
	if !r.faults.KeyboardOnly {
		c.PasswordCallback = func(m ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			return check(m.User(), string(password) == r.opts.Password)
		}
	}
}
