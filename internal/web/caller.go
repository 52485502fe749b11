package web

import (
	"context"
	"crypto/x509"
	"net/http"
	"slices"
	"strings"

	"github.com/routesteer/routesteer/api"
)

// A caller is who asks. The zero caller is nobody that is known.
type caller struct {
	by      string   // for the record: "token:alice", "cert:web1"
	servers []string // all that it may drain and undrain; nil for no limit
}

func (c caller) known() bool { return c.by != "" }

// callerKey is the key of a request's caller in its context.
type callerKey struct{}

func withCaller(ctx context.Context, c caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// callerOf is nobody where none was noted.
func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// identify says who sent a request. A token that is nobody's is an error; none,
// and no certificate, is nobody.
func (k *keys) identify(r *http.Request) (caller, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return certified(r), nil
	}
	scheme, text, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") || text == "" {
		return caller{}, &api.Error{Code: api.Unauthorized, Message: "the Authorization header is no bearer token", Hint: `it should be "Authorization: Bearer TOKEN"`}
	}
	if c, known := k.bearer(strings.TrimSpace(text)); known {
		return c, nil
	}
	return caller{}, &api.Error{Code: api.Unauthorized, Message: "the token is not one of http.tokens", Hint: "compare it with the controller's file; `routesteer status` warns of one that cannot be read"}
}

// certified is whose certificate was verified in the handshake.
func certified(r *http.Request) caller {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return caller{}
	}
	return caller{by: "cert:" + subject(r.TLS.PeerCertificates[0])}
}

// subject is the name that a certificate is known by: the common name, or else
// the first of its alternative names.
func subject(c *x509.Certificate) string {
	names := slices.Concat([]string{c.Subject.CommonName}, c.DNSNames, c.EmailAddresses)
	for _, uri := range c.URIs {
		names = append(names, uri.String())
	}
	for _, name := range names {
		if name != "" {
			return name
		}
	}
	return "serial " + c.SerialNumber.String()
}

// A leash is an operator that lets limited callers do no more than they may.
type leash struct{ api.Operator }

// Drain implements api.Operator.
func (l leash) Drain(ctx context.Context, request api.DrainRequest) (*api.Moved, error) {
	if err := callerOf(ctx).mayMove(request.Servers); err != nil {
		return nil, err
	}
	return l.Operator.Drain(ctx, request)
}

// Undrain implements api.Operator.
func (l leash) Undrain(ctx context.Context, request api.UndrainRequest) (*api.Moved, error) {
	if err := callerOf(ctx).mayMove(request.Servers); err != nil {
		return nil, err
	}
	return l.Operator.Undrain(ctx, request)
}

// mayMove refuses servers that are none of the caller's.
func (c caller) mayMove(servers []string) error {
	for _, server := range servers {
		if c.servers != nil && !slices.Contains(c.servers, server) {
			return &api.Error{Code: api.Forbidden, Message: c.by + " is good for " + strings.Join(c.servers, ", ") + " only, not for " + server}
		}
	}
	return nil
}
