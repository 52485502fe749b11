package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/routesteer/routesteer/internal/program"
	"github.com/routesteer/routesteer/internal/secret"
	"github.com/routesteer/routesteer/topology"
)

// SignatureHeader holds a message's signature, if it has one: "t=" and the time in
// seconds, ",v1=" and in hexadecimal the HMAC-SHA256 of that time, a dot, and the body.
const SignatureHeader = "Routesteer-Signature"

// maxPause bounds how long a server may ask us to wait.
const maxPause = 5 * time.Minute

// A webhook is sent messages by POST.
type webhook struct{ config topology.Webhook }

func (w webhook) send(ctx context.Context, message Message) error {
	ctx, cancel := context.WithTimeout(ctx, w.config.Timeout)
	defer cancel()
	request, err := w.request(ctx, message)
	if err != nil {
		return err
	}
	client, err := w.client()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return withoutURL(ctx, err, w.config.Timeout)
	}
	defer response.Body.Close()
	return answerOf(response)
}

// request is the POST of a message, with what is secret read anew.
func (w webhook) request(ctx context.Context, message Message) (*http.Request, error) {
	address := w.config.URL
	if address == "" {
		var err error
		if address, err = secret.Read(w.config.URLSecret); err != nil {
			return nil, err
		}
		if fault := topology.URLFault(address); fault != "" {
			return nil, fmt.Errorf("the webhook's url is a secret, and wrong: %s", fault)
		}
	}
	body := render(w.config.Template, message)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the webhook's url is wrong") // what it is may be a secret
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "routesteer")
	for _, header := range w.config.Headers {
		value := header.Value
		if header.Secret != (topology.Secret{}) {
			if value, err = secret.Read(header.Secret); err != nil {
				return nil, err
			}
		}
		request.Header.Set(header.Name, value)
		if http.CanonicalHeaderKey(header.Name) == "Host" {
			request.Host = value
		}
	}
	if w.config.Secret == (topology.Secret{}) {
		return request, nil
	}
	key, err := secret.Read(w.config.Secret)
	if err != nil {
		return nil, err
	}
	request.Header.Set(SignatureHeader, sign(key, body, time.Now()))
	return request, nil
}

// sign makes a signature that cannot be used for another body, or much later.
func sign(key string, body []byte, now time.Time) string {
	at := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(append([]byte(at+"."), body...)) // a hash never fails
	return "t=" + at + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// client is one for a single request, which follows nobody elsewhere.
func (w webhook) client() (*http.Client, error) {
	config, err := tlsConfig(w.config.CAFile)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, DisableKeepAlives: true,
			MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// tlsConfig trusts the authorities in a file; without one, the system's.
func tlsConfig(caFile string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read the authorities to trust: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the authorities to trust: %s holds no certificate in PEM", caFile)
	}
	return config, nil
}

// withoutURL is the error of a request without its URL, which may be a secret.
func withoutURL(ctx context.Context, err error, timeout time.Duration) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s", timeout)
	}
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// answerOf is what an answer means: 2xx that the message was taken, other codes than
// those that say "later" or admit a fault of the server that it never will be.
func answerOf(response *http.Response) error {
	output := &program.Beginning{Limit: maxOutput}
	_, _ = io.Copy(output, io.LimitReader(response.Body, maxOutput)) // what it says is a hint
	if response.StatusCode/100 == 2 {
		return nil
	}
	text := "the answer is " + response.Status
	if line := firstLine(output); line != "" {
		text += ": " + line
	}
	f := &fault{err: errors.New(text)}
	switch code := response.StatusCode; {
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
			f.after = min(time.Duration(seconds)*time.Second, maxPause)
		}
	default:
		f.final = true
	}
	return f
}
