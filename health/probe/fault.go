package probe

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A fault is why a check failed, in an operator's words.
type fault struct {
	words   string
	stalled bool  // this machine was late, not the server: the result is void
	timeout bool  // the time was up
	silence bool  // nothing came from the server at all
	cause   error // may be nil
}

func (f *fault) Error() string { return f.words }
func (f *fault) Unwrap() error { return f.cause }

// errCut says that a check was broken off from our side: no result.
var errCut = errors.New("check broken off")

// failf makes a fault without a cause.
func failf(format string, args ...any) error {
	return &fault{words: fmt.Sprintf(format, args...)}
}

// timedOut makes the fault of a check that ran out of time while waiting for what.
func timedOut(timeout time.Duration, what string, stalled bool) error {
	return &fault{
		words: fmt.Sprintf("timeout after %s (%s)", timeout, what), stalled: stalled,
		timeout: true, silence: slices.Contains([]string{whileConnecting, awaitingEcho, awaitingAnswer}, what),
	}
}

// What a check waits for that has heard nothing from the server yet.
const (
	whileConnecting = "connecting"
	awaitingEcho    = "waiting for the echo reply"
	awaitingAnswer  = "waiting for an answer by UDP"
)

// A sign is what the outcome of a check says of the server's address, whatever
// it says of the service.
type sign uint8

const (
	noSign  sign = iota // nothing: it never left this machine, or a kept connection is silent
	life                // something came from there
	silence             // nothing did
)

// signOf is what came of a check.
func signOf(err error) sign {
	var f *fault
	switch isFault := errors.As(err, &f); {
	case isFault && f.silence, errors.Is(err, unix.EHOSTUNREACH):
		return silence
	case isFault && f.timeout, errors.Is(err, errCut), errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return noSign
	default:
		return life
	}
}

// signOfAll is what a round of checks by one address says: one that was answered
// outweighs all others.
func signOfAll(errs []error) sign {
	all := noSign
	for _, err := range errs {
		switch signOf(err) {
		case life:
			return life
		case silence:
			all = silence
		}
	}
	return all
}

// inWords turns an I/O error into a fault. during says what was being done.
func inWords(err error, during string) error {
	var known *fault
	if errors.As(err, &known) || errors.Is(err, errCut) {
		return err
	}
	var errno unix.Errno
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return &fault{words: "connection refused", cause: err}
	case errors.Is(err, unix.EHOSTUNREACH):
		return &fault{words: "no route to host", cause: err}
	case errors.Is(err, unix.ENETUNREACH):
		return &fault{words: "network is unreachable", cause: err}
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return &fault{words: "operation not permitted (" + during + "): give routesteer CAP_NET_ADMIN, and look for a firewall rule", cause: err}
	case errors.Is(err, unix.ECONNRESET):
		return &fault{words: "connection reset (" + during + ")", cause: err}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, unix.EPIPE):
		return &fault{words: "connection closed (" + during + ")", cause: err}
	case errors.As(err, &errno):
		return &fault{words: errno.Error() + " (" + during + ")", cause: err}
	case isCertificate(err):
		return &fault{words: err.Error(), cause: err}
	default:
		return &fault{words: err.Error() + " (" + during + ")", cause: err}
	}
}

// isCertificate reports whether a TLS handshake failed by the server's certificate.
func isCertificate(err error) bool {
	var (
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		host      x509.HostnameError
	)
	return errors.As(err, &authority) || errors.As(err, &invalid) || errors.As(err, &host)
}

// noPath reports whether a check failed since the kernel has no way to the
// server: perhaps our table lost its route.
func noPath(err error) bool {
	return errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.ENETUNREACH)
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
