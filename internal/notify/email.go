package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/routesteer/routesteer/internal/secret"
	"github.com/routesteer/routesteer/topology"
)

// An email is how messages are mailed.
type email struct{ config topology.Email }

func (e email) send(ctx context.Context, message Message) error {
	ctx, cancel := context.WithTimeout(ctx, e.config.Timeout)
	defer cancel()
	letter, err := e.letter(message)
	if err != nil {
		return &fault{err: err, final: true}
	}
	client, err := e.client(ctx)
	if err != nil {
		return err
	}
	err = client.DialAndSendWithContext(ctx, letter)
	if err == nil {
		return nil
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("it took longer than %s", e.config.Timeout)
	}
	f := &fault{err: fmt.Errorf("mail by %s: %w", e.config.Host, err)}
	if refused := (*gomail.SendError)(nil); errors.As(err, &refused) {
		f.final = !refused.IsTemp() && refused.ErrorCode() >= 500
	}
	return f
}

// letter is the message as a mail that no automaton answers (RFC 3834).
func (e email) letter(message Message) (*gomail.Msg, error) {
	letter := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := letter.From(e.config.From); err != nil {
		return nil, fmt.Errorf("write a mail: %w", err)
	}
	if err := letter.To(e.config.To...); err != nil {
		return nil, fmt.Errorf("write a mail: %w", err)
	}
	letter.Subject(message.Title)
	letter.SetDateWithValue(message.Time)
	letter.SetMessageIDWithValue(e.id(message))
	letter.SetGenHeader("Auto-Submitted", "auto-generated")
	letter.SetGenHeader("X-Routesteer-Severity", message.Severity)
	letter.SetGenHeader("X-Routesteer-Status", message.Status)
	letter.SetBodyString(gomail.TypeTextPlain, message.Text+"\n")
	return letter, nil
}

// id is the same for each try, so that a mail that was taken though we did not hear
// that is not there twice.
func (e email) id(message Message) string {
	domain := "routesteer.invalid"
	if address, err := mail.ParseAddress(e.config.From); err == nil {
		domain = after(address.Address, '@')
	}
	return fmt.Sprintf("%d.%d.%s@%s", message.Time.UnixNano(), message.last, message.Notifier, domain)
}

func after(text string, mark byte) string {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == mark {
			return text[i+1:]
		}
	}
	return text
}

// client is one whose connection ends with ctx, whatever it waits for: the library's own
// limits begin anew with each command.
func (e email) client(ctx context.Context) (*gomail.Client, error) {
	config, err := tlsConfig(e.config.CAFile)
	if err != nil {
		return nil, err
	}
	config.ServerName = e.config.Host
	options := []gomail.Option{
		gomail.WithPort(int(e.config.Port)), gomail.WithTimeout(e.config.Timeout + time.Second), gomail.WithTLSConfig(config),
		gomail.WithDialContextFunc(e.dial(ctx, config)),
	}
	switch e.config.TLS {
	case topology.MailTLSAlways:
		// The connection is TLS already, by dial, which the library sees, and then asks for no more.
		options = append(options, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	case topology.MailTLSNever:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	case topology.MailTLSStart:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	default:
		panic("notify: no such way to speak to a mail server: " + string(e.config.TLS))
	}
	if e.config.User != "" {
		password, err := secret.Read(e.config.Password)
		if err != nil {
			return nil, err
		}
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(e.config.User), gomail.WithPassword(password))
	}
	client, err := gomail.NewClient(e.config.Host, options...)
	if err != nil {
		return nil, fmt.Errorf("mail by %s: %w", e.config.Host, err)
	}
	return client, nil
}

// dial connects for as long as whole lasts.
func (e email) dial(whole context.Context, config *tls.Config) gomail.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		plain := &net.Dialer{}
		connect := plain.DialContext
		if e.config.TLS == topology.MailTLSAlways {
			connect = (&tls.Dialer{NetDialer: plain, Config: config}).DialContext
		}
		connection, err := connect(ctx, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(whole, func() { _ = connection.Close() }) // it may be closed already
		return connection, nil
	}
}
