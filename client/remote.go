package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/routesteer/routesteer/api"
)

const (
	remoteDialTimeout = 5 * time.Second
	maxToken          = 4096    // bytes of a token's file
	maxPEM            = 1 << 20 // bytes of a file of certificates
)

// Credentials are what a client on another machine shows, and whom it trusts. The
// files are read for each request, so that new ones need no new client. The zero
// value shows nothing and trusts the system's authorities.
type Credentials struct {
	TokenFile         string // holds the token; nobody but owner and group may read it
	CAFile            string // PEM: the only authorities that may have signed the controller's certificate
	CertFile, KeyFile string // PEM: a client certificate and its key; nobody but owner and group may read the latter
}

// Remote returns a client of the controller whose http.listen is reached at
// address, such as https://router:8443. It does not connect yet, and what is wrong
// with the address or a file is told by the first request. A token is sent over
// TLS, or to this machine, alone.
func Remote(address string, credentials Credentials) *Client {
	return &Client{path: address, base: strings.TrimSuffix(address, "/"), remote: true, http: http.Client{
		Transport:     bearer{credentials},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// A bearer sends requests with credentials, each on a connection of its own.
type bearer struct{ Credentials }

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme != "https" && request.URL.Scheme != "http" || request.URL.Host == "" {
		return nil, badAddress("it should be like https://router:8443")
	}
	config, err := b.config()
	if err != nil {
		return nil, err
	}
	token, err := b.token()
	if err != nil {
		return nil, err
	}
	if token != "" {
		if request.URL.Scheme == "http" && !isLoopback(request.URL.Hostname()) {
			return nil, badAddress("a token is sent by https only, or to this machine")
		}
		request = request.Clone(request.Context())
		request.Header.Set("Authorization", "Bearer "+token)
	}
	dialer := net.Dialer{Timeout: remoteDialTimeout}
	transport := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    remoteDialTimeout,
		TLSClientConfig:        config,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: maxHeader,
		Proxy:                  http.ProxyFromEnvironment,
	}
	return transport.RoundTrip(request)
}

func badAddress(hint string) error {
	return &api.Error{Code: api.BadRequest, Message: "the controller's address is not good", Hint: hint}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// token reads the token, "" without a file.
func (c Credentials) token() (string, error) {
	if c.TokenFile == "" {
		return "", nil
	}
	text, err := readSecret(c.TokenFile, maxToken)
	if err != nil {
		return "", badFile("token", err)
	}
	token := strings.TrimRight(string(text), "\r\n")
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", badFile("token", fmt.Errorf("%s holds not one word", c.TokenFile))
	}
	return token, nil
}

// config says whom to trust, and which certificate to show.
func (c Credentials) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		text, _, err := readFile(c.CAFile, maxPEM)
		if err != nil {
			return nil, badFile("authorities", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, badFile("authorities", fmt.Errorf("%s holds no certificate in PEM", c.CAFile))
		}
	}
	if c.CertFile == "" && c.KeyFile == "" {
		return config, nil
	}
	pair, err := c.pair()
	if err != nil {
		return nil, err
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

// pair is the client certificate with its key.
func (c Credentials) pair() (tls.Certificate, error) {
	if c.CertFile == "" || c.KeyFile == "" {
		return tls.Certificate{}, badFile("client certificate", errors.New("it takes two files, the certificate's and its key's (--cert-file and --key-file)"))
	}
	cert, _, err := readFile(c.CertFile, maxPEM)
	if err != nil {
		return tls.Certificate{}, badFile("client certificate", err)
	}
	key, err := readSecret(c.KeyFile, maxPEM)
	if err != nil {
		return tls.Certificate{}, badFile("client certificate's key", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		err = badFile("client certificate", fmt.Errorf("%s with %s: %w", c.CertFile, c.KeyFile, err))
	}
	return pair, err
}

func badFile(what string, err error) error {
	return &api.Error{Code: api.BadRequest, Message: fmt.Sprintf("read the %s: %v", what, err)}
}

// readSecret reads a file that not everybody may have access to.
func readSecret(path string, limit int64) ([]byte, error) {
	text, mode, err := readFile(path, limit)
	if err == nil && mode.Perm()&0o007 != 0 {
		return nil, fmt.Errorf("everybody has access to %s (mode %04o): chmod o= %[1]s", path, mode.Perm())
	}
	return text, err
}

// readFile reads at most limit bytes.
func readFile(path string, limit int64) ([]byte, os.FileMode, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s is too long", path)
	}
	return text, info.Mode(), err
}

// unreachableRemote says what an operator can do about a controller elsewhere that
// gave no answer; nil if it is not known.
func (c *Client) unreachableRemote(err error) error {
	say := func(what, hint string) error {
		return &api.Error{Code: api.Unavailable, Message: fmt.Sprintf("%s at %s", what, c.path), Hint: hint}
	}
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var expired x509.CertificateInvalidError
	var lookup *net.DNSError
	var alert tls.AlertError
	var timeout net.Error
	var own *api.Error
	switch {
	case errors.As(err, &own): // of the credentials
		return own
	case errors.As(err, &authority):
		return say("the certificate is signed by an authority that is not known here", "name the file of its authority: --ca-file")
	case errors.As(err, &name):
		return say("the certificate is for another name: "+name.Error()+",", "use a name that it is for, in --url or ROUTESTEER_URL")
	case errors.As(err, &expired):
		return say("the certificate is not valid: "+expired.Error()+",", "is the clock right, here and there?")
	case errors.As(err, &lookup):
		return say("no such host", lookup.Error())
	case errors.As(err, &alert), strings.Contains(err.Error(), "remote error: tls:"):
		return say("the controller refuses the connection: "+reason(err)+",", "is the client certificate (--cert-file) of the authority in its http.tls.client_ca_file?")
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return say("there is no TLS", "write http://, if it is this machine")
	case errors.Is(err, syscall.ECONNREFUSED):
		return say("nobody listens", "is `routesteer run` running there, with http.listen in its file?")
	case errors.As(err, &timeout) && timeout.Timeout():
		return say("nobody answers", "is it the right address, and does a firewall let it through?")
	default:
		return nil
	}
}

// reason is an error without what the transport puts before it.
func reason(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err.Error()
	}
	return err.Error()
}
