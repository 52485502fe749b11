package support_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/internal/support"
)

// careless is a file by somebody who put secrets wherever there was room. Each
// has "hush" in it, and no other word does.
const careless = `
# the password is hush-comment
servers: {web1: 192.0.2.11}
checks:
  web: {http: {path: "/healthz?token=hush-query", headers: {Authorization: "Bearer hush-header", X-Probe: hush2}}}
  ldap: {script: [/usr/local/lib/check-ldap, --password, hush-argument, web1]}
  own: {agent: {port: 8081, send: "hush-send\n"}}
vips: [203.0.113.32/27] # hush-comment-too
routers:
  edge:
    cisco:
      address: 192.0.2.1
      password: hush-password
      enable: {file: /etc/routesteer/enable}
      snmp_community: hush-community
  borders: {bgp: {communities: ["65000:100"], peers: [{address: 192.0.2.254, password: [hush-list]}]}}
http: {tokens: {ci: hush-token, ops: {credential: ops-token}}}
notify:
  - {webhook: {url: "https://hooks.example.com/services/hush-path", secret: {env: HOOK}}}
  - {webhook: "https://anna:hush-user@hooks.example.com/x?key=hush-key"}
  - {email: {to: ops@example.com, server: "smtp://mail:hush-smtp@mail.example.com"}}
`

func TestNoSecretIsLeft(t *testing.T) {
	clean, secrets, err := support.Redact([]byte(careless))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(clean), "hush") {
		t.Errorf("a secret is left:\n%s", clean)
	}
	for _, kept := range []string{"192.0.2.11", "/healthz?REDACTED", "/usr/local/lib/check-ldap", "/etc/routesteer/enable", "65000:100", "ops-token", "env: HOOK", "https://hooks.example.com/"} {
		if !strings.Contains(string(clean), kept) {
			t.Errorf("%q is left out:\n%s", kept, clean)
		}
	}
	if said := support.Scrub([]byte("web1 is up"), secrets); string(said) != "web1 is up" {
		t.Errorf("too much is scrubbed: %s", said)
	}
	said := "GET /healthz?token=hush-query: 403; password: found hush-password; Bearer hush-header; https://anna:hush-user@hooks.example.com"
	if scrubbed := support.Scrub([]byte(said), secrets); bytes.Contains(scrubbed, []byte("hush")) {
		t.Errorf("a secret is left: %s", scrubbed)
	}
}

func TestWhatCannotBeReadIsLeftOut(t *testing.T) {
	clean, _, err := support.Redact([]byte("password: [hush"))
	if err == nil || len(clean) > 0 {
		t.Errorf("got %q, %v", clean, err)
	}
}

// TestScrubLeavesNoSecret whatever they have in common.
func TestScrubLeavesNoSecret(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secrets := rapid.SliceOfN(rapid.StringMatching(`[ab]{4,8}`), 1, 5).Draw(t, "secrets")
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom(append(secrets, "x", " "))).Draw(t, "words"), "-")
		scrubbed := string(support.Scrub([]byte(text), secrets))
		for _, secret := range secrets {
			if strings.Contains(scrubbed, secret) {
				t.Fatalf("%q of %q is left in %q", secret, text, scrubbed)
			}
		}
	})
}

func TestAnArchiveHasWhatThereIs(t *testing.T) {
	long := bytes.Repeat([]byte("x"), support.PartSize+1)
	parts := []support.Part{
		{Name: "good.txt", Get: func(context.Context) ([]byte, error) { return []byte("it says hush"), nil }},
		{Name: "bad.txt", Get: func(context.Context) ([]byte, error) { return nil, errors.New("no hush here") }},
		{Name: "half.txt", Get: func(context.Context) ([]byte, error) { return []byte("half"), errors.New("interrupted") }},
		{Name: "long.txt", Get: func(context.Context) ([]byte, error) { return long, nil }},
	}
	var file bytes.Buffer
	missing, err := support.Write(t.Context(), &file, "bundle", time.Unix(1, 0), parts, []string{"hush"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"bad.txt: no REDACTED here", "half.txt: interrupted"}; !slices.Equal(missing, want) {
		t.Errorf("missing %q, want %q", missing, want)
	}
	got := unpack(t, &file)
	for name, want := range map[string]string{
		"bundle/good.txt": "it says REDACTED", "bundle/half.txt": "half", "bundle/missing.txt": strings.Join(missing, "\n") + "\n",
	} {
		if got[name] != want {
			t.Errorf("%s has %q, want %q", name, got[name], want)
		}
	}
	if text := got["bundle/long.txt"]; len(text) > support.PartSize+100 || !strings.HasPrefix(text, "… the beginning is left out\n") {
		t.Errorf("long.txt has %d bytes: %.40s", len(text), text)
	}
}

func unpack(t *testing.T, file io.Reader) map[string]string {
	t.Helper()
	zipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(zipped); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Mode != 0o600 {
			t.Errorf("%s has mode %o", header.Name, header.Mode)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(text)
	}
}
