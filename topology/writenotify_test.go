package topology

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func (w *writer) notify(notifiers []Notifier) {
	if len(notifiers) > 0 {
		w.line(0, "notify:")
	}
	for _, n := range notifiers {
		w.line(1, "- name: %s", n.Name)
		w.line(2, "on:")
		w.line(3, "severity: %s", n.On.Severity)
		w.line(3, "resolved: %v", n.On.Resolved)
		if n.On.Kinds != nil {
			w.line(3, "kinds: %s", list(n.On.Kinds))
		}
		if n.On.Servers != nil {
			w.line(3, "servers: %s", list(n.On.Servers))
		}
		if n.On.VIPs != nil {
			w.line(3, "vips: %s", list(n.On.VIPs))
		}
		w.line(2, "group_wait: %s", n.GroupWait)
		w.line(2, "group_interval: %s", n.GroupInterval)
		switch {
		case n.Exec != nil:
			w.line(2, "exec:")
			w.line(3, "command: %s", list(n.Exec.Command))
			w.line(3, "timeout: %s", n.Exec.Timeout)
		case n.Webhook != nil:
			w.webhook(*n.Webhook)
		default:
			w.email(*n.Email)
		}
	}
}

func (w *writer) webhook(hook Webhook) {
	w.line(2, "webhook:")
	if hook.URL != "" {
		w.line(3, "url: %q", hook.URL)
	}
	w.secretAt(3, "url", hook.URLSecret)
	w.secretAt(3, "secret", hook.Secret)
	if len(hook.Headers) > 0 {
		w.line(3, "headers:")
	}
	for _, header := range hook.Headers {
		if header.Secret == (Secret{}) {
			w.line(4, "%q: %q", header.Name, header.Value)
		}
		w.secretAt(4, header.Name, header.Secret)
	}
	w.line(3, "template: %s", hook.Template)
	if hook.CAFile != "" {
		w.line(3, "ca_file: %q", hook.CAFile)
	}
	w.line(3, "timeout: %s", hook.Timeout)
}

func (w *writer) email(email Email) {
	w.line(2, "email:")
	w.line(3, "smtp: \"%s:%d\"", email.Host, email.Port)
	w.line(3, "from: %q", email.From)
	w.line(3, "to: %s", list(email.To))
	if email.User != "" {
		w.line(3, "user: %q", email.User)
	}
	w.secretAt(3, "password", email.Password)
	w.line(3, "tls: %s", email.TLS)
	if email.CAFile != "" {
		w.line(3, "ca_file: %q", email.CAFile)
	}
	w.line(3, "timeout: %s", email.Timeout)
}

func drawNotifier(t *rapid.T, site *Site, number int) Notifier {
	n := Notifier{
		Name: fmt.Sprintf("n%d", number),
		On: NotifyOn{
			Severity: rapid.SampledFrom(EventSeverities()).Draw(t, "severity"),
			Resolved: rapid.Bool().Draw(t, "resolved"),
		},
		GroupWait:     drawDuration(t, 0, maxGroupWait),
		GroupInterval: drawDuration(t, 0, maxGroupPause),
	}
	if rapid.Bool().Draw(t, "of some") {
		n.On.Kinds = rapid.SliceOfN(rapid.SampledFrom(EventKinds()), 1, 3).Draw(t, "kinds")
		n.On.Servers = []ServerName{rapid.SampledFrom(site.Servers).Draw(t, "its server").Name}
		n.On.VIPs = []string{rapid.SampledFrom(site.VIPs).Draw(t, "its VIP").Prefix.String()}
	}
	ca := rapid.SampledFrom([]string{"", "/ca.pem"}).Draw(t, "authorities")
	switch rapid.IntRange(0, 2).Draw(t, "kind of notifier") {
	case 0:
		n.Exec = &NotifyExec{Command: []string{"/bin/page", "-v"}, Timeout: drawDuration(t, minSendTime, maxSendTime)}
	case 1:
		n.Webhook = drawWebhook(t)
		n.Webhook.CAFile = ca
	default:
		n.Email = &Email{
			Host: "mail.example.com", Port: 2525, From: "a@example.com", To: []string{"b@example.com", "C <c@example.com>"},
			TLS: rapid.SampledFrom([]MailTLS{MailTLSStart, MailTLSAlways}).Draw(t, "mail tls"), CAFile: ca, Timeout: drawDuration(t, minSendTime, maxSendTime),
		}
		if secret := drawSecret(t); secret != (Secret{}) {
			n.Email.User, n.Email.Password = "someone", secret
		}
	}
	return n
}

func drawWebhook(t *rapid.T) *Webhook {
	hook := &Webhook{
		URL: "https://hooks.example.com/x?y=z", Secret: drawSecret(t),
		Template: rapid.SampledFrom([]Template{TemplateJSON, TemplateSlack, TemplateAlertmanager}).Draw(t, "template"),
		Timeout:  drawDuration(t, minSendTime, maxSendTime),
	}
	if secret := drawSecret(t); secret != (Secret{}) {
		hook.URL, hook.URLSecret = "", secret
		hook.Headers = []NotifyHeader{{Name: "Authorization", Secret: secret}, {Name: "X-Site", Value: "here: \"there\""}}
	}
	return hook
}

func TestAMailServersPortIsTheUsualOne(t *testing.T) {
	for text, want := range map[string]string{
		"smtp: mail":                              "mail:25",
		"smtp: mail, tls: always":                 "mail:465",
		"smtp: mail, user: u, password: {env: P}": "mail:587",
		"smtp: \"mail:2525\"":                     "mail:2525",
		"smtp: 192.0.2.25":                        "192.0.2.25:25",
		"smtp: \"[2001:db8::1]:2525\"":            "2001:db8::1:2525",
	} {
		site, err := Parse("site.yaml", []byte(complete("notify: [{name: a, email: {"+text+", from: a@b, to: a@b}}]\n")))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if email := site.Notify[0].Email; fmt.Sprintf("%s:%d", email.Host, email.Port) != want {
			t.Errorf("%s: got %s:%d, want %s", text, email.Host, email.Port, want)
		}
	}
}
