package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// secretFile is a secret in a file.
func secretFile(t *testing.T, text string) topology.Secret {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return topology.Secret{File: path}
}

// aMessage is of one event.
func aMessage() Message {
	g := newGroup(testConfig("warning"), "edge")
	g.add(falls(1, noon), noon)
	return g.message(time.Now())
}

// hooked is a real server and a webhook that leads to it by TLS.
func hooked(t *testing.T, handler http.HandlerFunc) topology.Webhook {
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return topology.Webhook{URL: server.URL + "/hook", CAFile: ca, Template: topology.TemplateJSON, Timeout: 10 * time.Second}
}

func TestAWebhookGetsASignedMessageWithItsSecrets(t *testing.T) {
	type arrival struct {
		header http.Header
		body   []byte
	}
	arrived := make(chan arrival, 1)
	config := hooked(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		arrived <- arrival{r.Header, body}
		w.WriteHeader(http.StatusNoContent)
	})
	config.URLSecret, config.URL = secretFile(t, config.URL), ""
	config.Secret = secretFile(t, "sesame")
	config.Headers = []topology.NotifyHeader{{Name: "Authorization", Secret: secretFile(t, "Bearer of news")}, {Name: "X-Site", Value: "north"}}
	want := aMessage()
	if err := (webhook{config}).send(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got := <-arrived
	if got.header.Get("Authorization") != "Bearer of news" || got.header.Get("X-Site") != "north" || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("got headers %v", got.header)
	}
	at, mac, _ := strings.Cut(strings.TrimPrefix(got.header.Get(SignatureHeader), "t="), ",v1=")
	check := hmac.New(sha256.New, []byte("sesame"))
	check.Write([]byte(at + "." + string(got.body)))
	if mac != hex.EncodeToString(check.Sum(nil)) {
		t.Errorf("the signature %q is wrong", got.header.Get(SignatureHeader))
	}
	var message Message
	if err := json.Unmarshal(got.body, &message); err != nil || message.Title != want.Title || len(message.Events) != 1 || message.Events[0].Server != "web1" {
		t.Errorf("got %s, %v", got.body, err)
	}
}

func TestWhatAnAnswerMeans(t *testing.T) {
	for name, test := range map[string]struct {
		code  int
		retry string
		final bool
		after time.Duration
	}{
		"gone":                 {code: 404, final: true},
		"a redirection":        {code: 302, final: true},
		"a fault of its own":   {code: 500},
		"later":                {code: 503, retry: "30", after: 30 * time.Second},
		"much too often":       {code: 429, retry: "999999999", after: maxPause},
		"later, without sense": {code: 503, retry: "tomorrow"},
	} {
		t.Run(name, func(t *testing.T) {
			config := hooked(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", test.retry)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(test.code)
				_, _ = io.WriteString(w, "\n  no such channel\x1b[31m\n"+strings.Repeat("x", 1<<20))
			})
			err := (webhook{config}).send(t.Context(), aMessage())
			got := asFault(err)
			if err == nil || got.final != test.final || got.after != test.after {
				t.Errorf("got %v, final %v, after %s", err, got.final, got.after)
			}
			if text := err.Error(); !strings.Contains(text, "no such channel") || strings.Contains(text, "\x1b") || len(text) > 300 {
				t.Errorf("got %q", text)
			}
		})
	}
}

func TestErrorsOfAWebhookDoNotShowItsURL(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for name, url := range map[string]string{
		"refused":    closed.URL + "/T0KEN",
		"no answer":  "http://" + silent.Addr().String() + "/T0KEN",
		"no address": "http://T0KEN.invalid/T0KEN",
		"no URL":     "ftp://T0KEN",
		"bad escape": "http://127.0.0.1/%T0KEN",
	} {
		t.Run(name, func(t *testing.T) {
			config := topology.Webhook{URLSecret: secretFile(t, url), Template: topology.TemplateJSON, Timeout: 200 * time.Millisecond}
			err := (webhook{config}).send(t.Context(), aMessage())
			if err == nil || strings.Contains(err.Error(), "/T0KEN") || strings.Contains(err.Error(), "%T0KEN") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestASlackMessageHasItsFormAndCannotMentionAnybody(t *testing.T) {
	event := falls(1, noon)
	event.Reason = "503 <!channel> & <@U123>"
	g := newGroup(testConfig("warning"), "edge")
	g.add(event, noon)
	var got slackMessage
	if err := json.Unmarshal(render(topology.TemplateSlack, g.message(noon)), &got); err != nil {
		t.Fatal(err)
	}
	if got.Text == "" || len(got.Attachments) != 1 || got.Attachments[0].Color != "warning" {
		t.Errorf("got %+v", got)
	}
	if text := got.Text + got.Attachments[0].Text; strings.ContainsAny(text, "<>") || !strings.Contains(text, "&lt;!channel&gt; &amp;") {
		t.Errorf("got %q", text)
	}
}
