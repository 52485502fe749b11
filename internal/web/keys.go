package web

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/routesteer/routesteer/internal/secret"
	"github.com/routesteer/routesteer/topology"
)

// minToken is how long a token must be, in bytes, not to be guessed.
const minToken = 16

// maxPEM bounds a file of certificates, in bytes.
const maxPEM = 1 << 20

// keys are what is asked of callers, and what proves who we are. They are never
// changed, only replaced.
type keys struct {
	read   topology.Reading
	tokens []token
	tls    *tls.Config // nil for plain HTTP
	pem    [3][]byte   // what tls was made of: certificate, key, authorities
}

// A token is the sum of a secret, and who shows it.
type token struct {
	sum    [sha256.Size]byte
	caller caller
}

// readKeys reads what the file names. What cannot be read is told, and the rest
// returned: a token without its file is good for nothing, a certificate stays what
// it was.
func readKeys(web topology.Web, former *keys) (*keys, error) {
	k := &keys{read: web.Read, tls: former.tls, pem: former.pem}
	var wrong []error
	for _, t := range web.Tokens {
		text, err := secret.Read(t.Secret)
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Errorf("token %s: %w", t.Name, err))
		case len(text) < minToken:
			wrong = append(wrong, fmt.Errorf("token %s has %d characters, and needs %d not to be guessed: openssl rand -hex 32", t.Name, len(text), minToken))
		default:
			k.tokens = append(k.tokens, token{sumOf(text), caller{by: "token:" + t.Name, servers: limitOf(t)}})
		}
	}
	if web.TLS == nil {
		k.tls, k.pem = nil, [3][]byte{}
	} else if err := k.readTLS(*web.TLS); err != nil {
		wrong = append(wrong, fmt.Errorf("tls: %w", err))
	}
	return k, errors.Join(wrong...)
}

func sumOf(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

// limitOf is nil for a token without a limit.
func limitOf(t topology.Token) []string {
	var servers []string
	for _, name := range t.Servers {
		servers = append(servers, string(name))
	}
	return servers
}

// readTLS makes tls anew if a file has changed.
func (k *keys) readTLS(files topology.WebTLS) error {
	var pem [3][]byte
	for i, path := range []string{files.CertFile, files.KeyFile, files.ClientCAFile} {
		var err error
		if pem[i], err = readPEM(path); err != nil {
			return err
		}
	}
	if k.tls != nil && bytes.Equal(pem[0], k.pem[0]) && bytes.Equal(pem[1], k.pem[1]) && bytes.Equal(pem[2], k.pem[2]) {
		return nil
	}
	certificate, err := tls.X509KeyPair(pem[0], pem[1])
	if err != nil {
		return fmt.Errorf("%s with %s: %w", files.CertFile, files.KeyFile, err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{certificate}}
	if files.ClientCAFile != "" {
		config.ClientAuth, config.ClientCAs = tls.VerifyClientCertIfGiven, x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(pem[2]) {
			return fmt.Errorf("%s holds no certificate in PEM", files.ClientCAFile)
		}
	}
	k.tls, k.pem = config, pem
	return nil
}

// readPEM reads a file; "" is none.
func readPEM(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxPEM+1))
	if err == nil && len(text) > maxPEM {
		err = fmt.Errorf("%s is too long for certificates", path)
	}
	return text, err
}

// bearer is who shows that token. All are compared, whichever fits, in the same
// time.
func (k *keys) bearer(text string) (caller, bool) {
	sum := sumOf(text)
	found := -1
	for i := range k.tokens {
		if subtle.ConstantTimeCompare(sum[:], k.tokens[i].sum[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return caller{}, false
	}
	return k.tokens[found].caller, true
}
