package notify

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/routesteer/routesteer/topology"
)

// A mailServer is a real SMTP server that keeps what it gets.
type mailServer struct {
	refuse  error // what a recipient gets for an answer
	arrived chan letter
}

type letter struct {
	from, user string
	to         []string
	encrypted  bool
	text       []byte
}

func (s *mailServer) NewSession(c *smtp.Conn) (smtp.Session, error) {
	_, encrypted := c.TLSConnectionState()
	return &mailSession{server: s, letter: letter{encrypted: encrypted}}, nil
}

type mailSession struct {
	server *mailServer
	letter letter
}

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "routesteer" || password != "sesame" {
			return errors.New("wrong password")
		}
		s.letter.user = user
		return nil
	}), nil
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	s.letter.from = from
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.letter.to = append(s.letter.to, to)
	return s.server.refuse
}

func (s *mailSession) Data(r io.Reader) (err error) {
	s.letter.text, err = io.ReadAll(r)
	s.server.arrived <- s.letter
	return err
}

func (s *mailSession) Reset()        {}
func (s *mailSession) Logout() error { return nil }

// mailed is a mail server, and how it is spoken to.
func mailed(t *testing.T, mode topology.MailTLS) (*mailServer, topology.Email) {
	t.Helper()
	certificates := httptest.NewUnstartedServer(http.NotFoundHandler())
	certificates.StartTLS()
	defer certificates.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificates.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	backend := &mailServer{arrived: make(chan letter, 8)}
	server := smtp.NewServer(backend)
	server.Domain = "mail.example.com"
	server.TLSConfig = &tls.Config{Certificates: certificates.TLS.Certificates}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(listener.Addr().(*net.TCPAddr).Port)
	switch mode {
	case topology.MailTLSAlways:
		listener = tls.NewListener(listener, server.TLSConfig)
	case topology.MailTLSNever:
		server.TLSConfig, server.AllowInsecureAuth = nil, true
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
	})
	return backend, topology.Email{
		Host: "127.0.0.1", Port: port, From: "routesteer@example.com", To: []string{"oncall@example.com", "Boss <boss@example.com>"},
		TLS: mode, CAFile: ca, Timeout: 10 * time.Second,
	}
}

func TestAMailArrives(t *testing.T) {
	for _, mode := range []topology.MailTLS{topology.MailTLSStart, topology.MailTLSAlways, topology.MailTLSNever} {
		t.Run(string(mode), func(t *testing.T) {
			server, config := mailed(t, mode)
			if mode != topology.MailTLSNever {
				config.User, config.Password = "routesteer", secretFile(t, "sesame")
			}
			message := aMessage()
			if err := (email{config}).send(t.Context(), message); err != nil {
				t.Fatal(err)
			}
			got := <-server.arrived
			if got.from != "routesteer@example.com" || strings.Join(got.to, " ") != "oncall@example.com boss@example.com" || got.user != config.User {
				t.Errorf("got a letter from %s to %s by %q", got.from, got.to, got.user)
			}
			if got.encrypted != (mode != topology.MailTLSNever) {
				t.Errorf("encrypted: %v", got.encrypted)
			}
			parsed, err := mail.ReadMessage(bytes.NewReader(got.text))
			if err != nil {
				t.Fatal(err)
			}
			if parsed.Header.Get("Subject") != message.Title || parsed.Header.Get("Auto-Submitted") != "auto-generated" || parsed.Header.Get("Message-ID") == "" {
				t.Errorf("got header %v", parsed.Header)
			}
			if body, err := io.ReadAll(parsed.Body); err != nil || !strings.Contains(string(body), "no reply to 3 echoes") {
				t.Errorf("got %q, %v", body, err)
			}
		})
	}
}

func TestAMailThatMustBeEncryptedIsNotSentInTheClear(t *testing.T) {
	server, config := mailed(t, topology.MailTLSNever)
	config.TLS = topology.MailTLSStart
	config.User, config.Password = "routesteer", secretFile(t, "sesame")
	if err := (email{config}).send(t.Context(), aMessage()); err == nil || !strings.Contains(err.Error(), "STARTTLS") {
		t.Errorf("got %v", err)
	}
	if len(server.arrived) > 0 {
		t.Error("it was sent")
	}
}

func TestAWrongPasswordIsNotShown(t *testing.T) {
	_, config := mailed(t, topology.MailTLSStart)
	config.User, config.Password = "routesteer", secretFile(t, "T0PSECRET")
	if err := (email{config}).send(t.Context(), aMessage()); err == nil || strings.Contains(err.Error(), "T0PSECRET") {
		t.Errorf("got %v", err)
	}
}

func TestARecipientThatIsNotThereIsNotTriedAgainAndAFullOneIs(t *testing.T) {
	for final, refusal := range map[bool]*smtp.SMTPError{
		true:  {Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"},
		false: {Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "mailbox full"},
	} {
		server, config := mailed(t, topology.MailTLSStart)
		server.refuse = refusal
		err := (email{config}).send(t.Context(), aMessage())
		if err == nil || asFault(err).final != final || !strings.Contains(err.Error(), refusal.Message) {
			t.Errorf("got %v, final: %v", err, asFault(err).final)
		}
	}
}

func TestAMailServerThatSaysNothingIsGivenUpInTime(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, mode := range []topology.MailTLS{topology.MailTLSStart, topology.MailTLSAlways} {
		config := topology.Email{
			Host: "127.0.0.1", Port: uint16(silent.Addr().(*net.TCPAddr).Port), From: "a@example.com", To: []string{"a@example.com"},
			TLS: mode, Timeout: 300 * time.Millisecond,
		}
		began := time.Now()
		err := (email{config}).send(t.Context(), aMessage())
		if err == nil || !strings.Contains(err.Error(), "longer than 300ms") {
			t.Errorf("%s: got %v", mode, err)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s: that took %s", mode, took)
		}
	}
}
