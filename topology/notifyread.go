package topology

import (
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// readNotify reads the section notify, which may be absent.
func (r *reader) readNotify(f fields) {
	c, given := f.get("notify")
	if !given {
		return
	}
	items, _ := c.list("a list of notifiers, such as [{name: oncall, exec: {command: [/usr/local/bin/page]}}]")
	if len(items) > maxNotifiers {
		c.problem("more than %d notifiers", maxNotifiers)
		return
	}
	lines := map[string]int{}
	for _, item := range items {
		n, ok := r.readNotifier(item)
		if line, twice := lines[n.Name]; twice && n.Name != "" {
			item.problem("notifier %q is there twice, first on line %d", n.Name, line)
		} else if ok {
			r.site.Notify = append(r.site.Notify, n)
		}
		lines[n.Name] = item.node.Line
	}
}

func (r *reader) readNotifier(c cursor) (Notifier, bool) {
	n := defaultNotifier()
	f, ok := c.fields(notifyObject, "a mapping with name and one of exec, webhook, email")
	if !ok {
		return n, false
	}
	if _, given := f.get("name"); !given {
		f.missing([]string{"name"}, "a notifier needs a name, such as name: oncall")
		return n, false
	}
	if given := f.given(notifierKinds()...); len(given) != 1 {
		f.missing(notifierKinds(), "expected one of %s, found %d of them", strings.Join(notifierKinds(), ", "), len(given))
		return n, false
	}
	ok = set(f, "name", &n.Name, cursor.plainName)
	ok = set(f, "on", &n.On, r.readNotifyOn) && ok
	ok = setDuration(f, "group_wait", &n.GroupWait, 0, maxGroupWait) && ok
	ok = setDuration(f, "group_interval", &n.GroupInterval, 0, maxGroupPause) && ok
	ok = set(f, "exec", &n.Exec, readNotifyExec) && ok
	ok = set(f, "webhook", &n.Webhook, readWebhook) && ok
	return n, set(f, "email", &n.Email, readEmail) && ok
}

// plainName reads a name.
func (c cursor) plainName() (string, bool) {
	word, ok := c.word("a name")
	if ok && nameFault(word) != "" {
		c.problem("%q is no name: %s", shorten(word), nameFault(word))
		return "", false
	}
	return word, ok
}

func (r *reader) readNotifyOn(c cursor) (NotifyOn, bool) {
	on := defaultNotifyOn()
	f, ok := c.fields(notifyOnObject, "a mapping such as {severity: warning, servers: [web1]}")
	if !ok {
		return on, false
	}
	ok = setChoice(f, "severity", &on.Severity, EventSeverities()...)
	ok = set(f, "kinds", &on.Kinds, readEventKinds) && ok
	ok = set(f, "servers", &on.Servers, r.readSomeServers) && ok
	ok = set(f, "vips", &on.VIPs, r.readVIPWords) && ok
	return on, setBool(f, "resolved", &on.Resolved) && ok
}

func readEventKinds(c cursor) ([]string, bool) {
	items, ok := c.words("a kind of event, or a list of them such as [verdict, assignment]")
	var kinds []string
	for _, item := range items {
		kind, good := choice(item, EventKinds()...)
		kinds, ok = append(kinds, kind), ok && good
	}
	return kinds, ok
}

// readVIPWords reads words that mean VIPs of the site.
func (r *reader) readVIPWords(c cursor) ([]string, bool) {
	items, ok := c.words("a VIP, or a list of VIPs, by name, prefix or address")
	var words []string
	for _, item := range items {
		word, good := item.word("the name, a prefix or an address of a VIP")
		if good && !r.meansVIP(word) {
			item.unknown("VIP", shorten(word), r.vipNames())
			good = false
		}
		words, ok = append(words, word), ok && good
	}
	return words, ok
}

func (r *reader) meansVIP(word string) bool {
	address, _ := netip.ParseAddr(word)
	prefix, _ := netip.ParsePrefix(word)
	return slices.ContainsFunc(r.site.VIPs, func(vip VIP) bool {
		return vip.Name == word && word != "" || vip.Prefix == prefix || vip.Prefix.Contains(address)
	})
}

func (r *reader) vipNames() []string {
	var names []string
	for _, vip := range r.site.VIPs {
		if vip.Name != "" && !slices.Contains(names, vip.Name) {
			names = append(names, vip.Name)
		}
		names = append(names, vip.Prefix.String())
	}
	return names
}

func readNotifyExec(c cursor) (*NotifyExec, bool) {
	const want = "a mapping with command, such as {command: [/usr/local/bin/page]}"
	exec := &NotifyExec{Timeout: 10 * time.Second}
	f, ok := c.fields(notifyExecObject, want)
	if !ok {
		return nil, false
	}
	if _, given := f.get("command"); !given {
		f.missing([]string{"command"}, "expected %s", want)
		return nil, false
	}
	ok = set(f, "command", &exec.Command, func(c cursor) ([]string, bool) {
		script, ok := readScript(c)
		if !ok {
			return nil, false
		}
		return script.Command, true
	})
	return exec, setDuration(f, "timeout", &exec.Timeout, minSendTime, maxSendTime) && ok
}

func readWebhook(c cursor) (*Webhook, bool) {
	const want = "a mapping with url, such as {url: https://hooks.example.com/routesteer}"
	hook := &Webhook{Template: TemplateJSON, Timeout: 10 * time.Second}
	f, ok := c.fields(webhookObject, want)
	if !ok {
		return nil, false
	}
	address, given := f.get("url")
	if !given {
		f.missing([]string{"url"}, "expected %s", want)
		return nil, false
	}
	if address.isMap() {
		hook.URLSecret, ok = readSecret(address)
	} else {
		hook.URL, ok = readURL(address)
	}
	ok = set(f, "secret", &hook.Secret, readSecret) && ok
	ok = set(f, "headers", &hook.Headers, readNotifyHeaders) && ok
	ok = setChoice(f, "template", &hook.Template, TemplateJSON, TemplateSlack, TemplateAlertmanager) && ok
	ok = set(f, "ca_file", &hook.CAFile, cursor.filePath) && ok
	return hook, setDuration(f, "timeout", &hook.Timeout, minSendTime, maxSendTime) && ok
}

// readURL reads the URL of a webhook.
func readURL(c cursor) (string, bool) {
	const want = "a URL such as https://hooks.example.com/routesteer, or where it is, such as {file: /etc/routesteer/hook}"
	word, ok := c.word(want)
	if !ok {
		return "", false
	}
	if fault := URLFault(word); fault != "" {
		c.unshown("expected %s: %s", want, fault)
		return "", false
	}
	return word, true
}

// URLFault says why a text is no URL of a webhook, without repeating it, since it may
// be a secret; "" when it is one.
func URLFault(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "it is no URL"
	case u.Scheme != "http" && u.Scheme != "https":
		return "it begins with neither http:// nor https://"
	case u.Hostname() == "":
		return "it names no host"
	case u.User != nil:
		return "a password has no place in it; a header may be a secret"
	}
	return ""
}

// readNotifyHeaders reads request headers whose values may be secrets.
func readNotifyHeaders(c cursor) ([]NotifyHeader, bool) {
	all, ok := c.entries("a mapping of headers, such as {Authorization: {file: /etc/routesteer/hook-token}}")
	var headers []NotifyHeader
	lines := map[string]int{}
	for _, e := range all {
		canonical := strings.ToLower(e.name)
		if line, twice := lines[canonical]; twice {
			e.key.problem("header %q is given twice, first on line %d", e.name, line)
			ok = false
			continue
		}
		lines[canonical] = e.key.node.Line
		header, good := readNotifyHeader(e)
		headers, ok = append(headers, header), ok && good
	}
	return headers, ok
}

func readNotifyHeader(e entry) (NotifyHeader, bool) {
	if e.name == "" || strings.ContainsFunc(e.name, func(r rune) bool { return !isToken(r) }) {
		e.key.problem("%q cannot be a header: its name has letters, digits and - only", shorten(e.name))
		return NotifyHeader{}, false
	}
	header := NotifyHeader{Name: e.name}
	ok := true
	if e.value.isMap() {
		header.Secret, ok = readSecret(e.value)
		return header, ok
	}
	header.Value, ok = e.value.word("the header's value, or where it is, such as {file: PATH}")
	if ok && strings.ContainsFunc(header.Value, unicode.IsControl) {
		e.value.problem("the value of header %s has a line break or another control character", e.name)
		return header, false
	}
	return header, ok
}

func readEmail(c cursor) (*Email, bool) {
	const want = "a mapping with smtp, from and to, such as {smtp: mail.example.com, from: routesteer@example.com, to: oncall@example.com}"
	email := &Email{TLS: MailTLSStart, Timeout: 30 * time.Second}
	f, ok := c.fields(emailObject, want)
	if !ok {
		return nil, false
	}
	for _, key := range []string{"smtp", "from", "to"} {
		if _, given := f.get(key); !given {
			f.missing([]string{key}, "expected %s", want)
			return nil, false
		}
	}
	ok = setChoice(f, "tls", &email.TLS, MailTLSStart, MailTLSAlways, MailTLSNever)
	ok = set(f, "user", &email.User, func(c cursor) (string, bool) { return c.word("a user's name") }) && ok
	ok = set(f, "password", &email.Password, readSecret) && ok
	ok = email.readSMTP(f) && ok
	ok = set(f, "from", &email.From, readMailAddress) && ok
	ok = set(f, "to", &email.To, readMailAddresses) && ok
	ok = set(f, "ca_file", &email.CAFile, cursor.filePath) && ok
	ok = setDuration(f, "timeout", &email.Timeout, minSendTime, maxSendTime) && ok
	return email, ok && email.isSound(f)
}

// readSMTP reads a host, and perhaps a port.
func (e *Email) readSMTP(f fields) bool {
	const want = "a host, or a host and a port, such as mail.example.com or mail.example.com:587"
	c, _ := f.get("smtp")
	word, ok := c.word(want)
	if !ok {
		return false
	}
	e.Host, e.Port = word, e.usualPort()
	if address, err := netip.ParseAddr(word); err == nil {
		e.Host = address.String()
		return true
	}
	if host, port, found := cutLast(word, ":"); found {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			c.problem("expected %s, found %q", want, shorten(word))
			return false
		}
		e.Host, e.Port = strings.Trim(host, "[]"), uint16(n)
	}
	if e.Host == "" || len(e.Host) > maxHost || strings.ContainsFunc(e.Host, func(r rune) bool { return !isNameRune(r) && r != ':' }) {
		c.problem("expected %s, found %q", want, shorten(word))
		return false
	}
	return true
}

func cutLast(text, sep string) (before, after string, found bool) {
	at := strings.LastIndex(text, sep)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(sep):], true
}

// usualPort is where a mail server listens for what is asked of it.
func (e *Email) usualPort() uint16 {
	switch {
	case e.TLS == MailTLSAlways:
		return 465
	case e.User != "":
		return 587
	default:
		return 25
	}
}

// isSound notes what does not go together.
func (e *Email) isSound(f fields) bool {
	hasPassword := e.Password != (Secret{})
	switch c, _ := f.get("user"); {
	case e.User != "" && !hasPassword:
		c.problem("a user needs a password, such as password: {file: /etc/routesteer/mail-password}")
		return false
	case e.User == "" && hasPassword:
		c, _ := f.get("password")
		c.problem("a password needs a user")
		return false
	case hasPassword && e.TLS == MailTLSNever && !isLoopback(e.Host):
		c, _ := f.get("tls")
		c.problem("the password would cross the network in the clear: expected tls: starttls or always")
		return false
	}
	return true
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

func readMailAddresses(c cursor) ([]string, bool) {
	items, ok := c.words("a mail address, or a list of them")
	if len(items) > maxRecipients {
		c.problem("more than %d addresses", maxRecipients)
		return nil, false
	}
	var addresses []string
	for _, item := range items {
		address, good := readMailAddress(item)
		addresses, ok = append(addresses, address), ok && good
	}
	return addresses, ok
}

// readMailAddress reads an address of RFC 5322, with or without a name.
func readMailAddress(c cursor) (string, bool) {
	const want = `a mail address such as oncall@example.com or "On Call <oncall@example.com>"`
	word, ok := c.word(want)
	if !ok {
		return "", false
	}
	if _, err := mail.ParseAddress(word); err != nil || strings.ContainsFunc(word, unicode.IsControl) {
		c.problem("expected %s, found %q", want, shorten(word))
		return "", false
	}
	return word, true
}
