package topology

import "time"

// A Notifier tells people, or their programs, of events. Exactly one of Exec, Webhook
// and Email is set.
type Notifier struct {
	Name string   // unique
	On   NotifyOn // which events

	// GroupWait is how long the first event of a group waits for others that come of the
	// same, so that all are one message; default 5s. GroupInterval is the least time
	// between one message and the next; default 1m.
	GroupWait, GroupInterval time.Duration

	Exec    *NotifyExec
	Webhook *Webhook
	Email   *Email
}

// NotifyOn says which events a notifier tells of: those that all of its fields admit.
type NotifyOn struct {
	Severity string       // at least; default "warning"
	Kinds    []string     // any of these; nil for all
	Servers  []ServerName // about any of these; nil for all. Sorted
	VIPs     []string     // names, prefixes or addresses of VIPs of the site, as in the file; nil for all
	Resolved bool         // besides, those that end what was told, whatever their severity; default true
}

// A NotifyExec is a program that is started for each message, without a shell.
type NotifyExec struct {
	Command []string      // the program's absolute path, and its arguments
	Timeout time.Duration // it is killed then; default 10s
}

// A Webhook is a URL that messages are sent to, by POST.
type Webhook struct {
	URL       string         // http or https; "" with URLSecret
	URLSecret Secret         // where the URL is, if it is a secret
	Secret    Secret         // the key of a signature; the zero Secret for none
	Headers   []NotifyHeader // in file order
	Template  Template
	CAFile    string        // PEM of authorities, in place of the system's; "" for the system's
	Timeout   time.Duration // of one try; default 10s
}

// A NotifyHeader is a request header whose value may be a secret.
type NotifyHeader struct {
	Name   string
	Value  string // "" with Secret
	Secret Secret
}

// A Template is the form of a webhook's body.
type Template string

const (
	TemplateJSON         Template = "json"         // our own; the default
	TemplateSlack        Template = "slack"        // of Slack's and Mattermost's incoming webhooks
	TemplateAlertmanager Template = "alertmanager" // of Alertmanager's API v2, /api/v2/alerts
)

// An Email is how messages are mailed.
type Email struct {
	Host     string // the mail server's name or address
	Port     uint16 // default 25; 587 with MailTLSStart and a user, 465 with MailTLSAlways
	From     string
	To       []string // in file order
	User     string   // "" for nobody
	Password Secret
	TLS      MailTLS
	CAFile   string        // PEM of authorities, in place of the system's; "" for the system's
	Timeout  time.Duration // of one try; default 30s
}

// MailTLS says how a mail server is spoken to.
type MailTLS string

const (
	MailTLSStart  MailTLS = "starttls" // RFC 3207, and not without; the default
	MailTLSAlways MailTLS = "always"   // from the first byte: RFC 8314
	MailTLSNever  MailTLS = "never"
)

// EventKinds are the kinds of events that a notifier can be told of; package api says
// what they mean.
func EventKinds() []string {
	return []string{
		"controller", "config", "admin", "verdict", "agent", "echo", "guard",
		"assignment", "route", "router", "session", "transition",
	}
}

// EventSeverities are the severities of events, the least first.
func EventSeverities() []string { return []string{"info", "notice", "warning", "critical"} }

// Limits of notifiers.
const (
	maxNotifiers  = 64
	maxRecipients = 64
	maxGroupWait  = time.Hour
	maxGroupPause = 24 * time.Hour
	minSendTime   = 100 * time.Millisecond
	maxSendTime   = 5 * time.Minute
)

func defaultNotifier() Notifier {
	return Notifier{On: defaultNotifyOn(), GroupWait: 5 * time.Second, GroupInterval: time.Minute}
}

func defaultNotifyOn() NotifyOn { return NotifyOn{Severity: "warning", Resolved: true} }
