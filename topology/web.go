package topology

import (
	"net/netip"
	"slices"
	"strings"
)

// A Web is what the controller offers by HTTP. The zero Web is nothing.
type Web struct {
	Listen netip.AddrPort // where it listens; the zero AddrPort for nowhere, the default
	Read   Reading        // who may look
	TLS    *WebTLS        // nil for plain HTTP
	Tokens []Token        // who may make changes; sorted by name
}

// Reading says who may look at the site by HTTP.
type Reading string

const (
	ReadAnyone Reading = "anyone" // whoever reaches the listener; the default
	ReadToken  Reading = "token"  // who has a token or a client certificate
)

// WebTLS are the files that TLS needs, PEM.
type WebTLS struct {
	CertFile     string // the certificate, with its chain
	KeyFile      string
	ClientCAFile string // whose certificates may make changes; "" for nobody's
}

// A Token lets its bearer make changes.
type Token struct {
	Name   string // who that is, for the record
	Secret Secret
	// Servers are all that its bearer may drain and undrain, who may then change
	// nothing else; nil for no limit. Sorted.
	Servers []ServerName
}

// maxTokens bounds what each request with a token is compared with.
const maxTokens = 1024

// readWeb reads the section http, which may be absent.
func (r *reader) readWeb(f fields) {
	c, given := f.get("http")
	if !given {
		return
	}
	web := Web{Read: ReadAnyone}
	f, ok := c.fields(webObject, "a mapping with listen, such as {listen: 127.0.0.1:8080}")
	if !ok {
		return
	}
	if _, given := f.get("listen"); !given {
		f.missing([]string{"listen"}, "http needs listen, such as {listen: 127.0.0.1:8080}")
		return
	}
	ok = set(f, "listen", &web.Listen, readListen)
	ok = setChoice(f, "read", &web.Read, ReadAnyone, ReadToken) && ok
	ok = set(f, "tls", &web.TLS, readWebTLS) && ok
	ok = set(f, "tokens", &web.Tokens, r.readTokens) && ok
	if ok && webIsSound(f, web) {
		r.site.Web = web
	}
}

// webIsSound notes what does not go together.
func webIsSound(f fields, web Web) bool {
	listen, _ := f.get("listen")
	tokens, given := f.get("tokens")
	if given && len(web.Tokens) > 0 && web.TLS == nil && !web.Listen.Addr().IsLoopback() {
		tokens.problem("tokens would cross the network in the clear: http needs tls, or listen on a loopback address such as 127.0.0.1:%d", web.Listen.Port())
		return false
	}
	if web.Read == ReadToken && len(web.Tokens) == 0 && (web.TLS == nil || web.TLS.ClientCAFile == "") {
		listen.problem("nobody could read: read: token needs tokens, or client_ca_file in tls")
		return false
	}
	return true
}

// readListen reads an address and a port.
func readListen(c cursor) (netip.AddrPort, bool) {
	const want = "an address and a port, such as 127.0.0.1:8080 or [::]:8443"
	word, ok := c.word(want)
	if !ok {
		return netip.AddrPort{}, false
	}
	listen, err := netip.ParseAddrPort(word)
	switch {
	case strings.HasPrefix(word, ":") || strings.HasPrefix(word, "*:"):
		_, port, _ := strings.Cut(word, ":")
		c.problem("%q has no address, write 127.0.0.1:%s for this machine only, or [::]:%s for everybody", shorten(word), shorten(port), shorten(port))
	case err != nil || listen.Port() == 0 || listen.Addr().Zone() != "":
		c.problem("expected %s, found %q", want, shorten(word))
	default:
		return netip.AddrPortFrom(listen.Addr().Unmap(), listen.Port()), true
	}
	return netip.AddrPort{}, false
}

func readWebTLS(c cursor) (*WebTLS, bool) {
	const want = "a mapping with cert_file and key_file"
	tls := &WebTLS{}
	f, ok := c.fields(webTLSObject, want)
	if !ok {
		return nil, false
	}
	if needs := []string{"cert_file", "key_file"}; len(f.given(needs...)) < len(needs) {
		f.missing(needs, "expected %s", want)
		return nil, false
	}
	ok = set(f, "cert_file", &tls.CertFile, cursor.filePath)
	ok = set(f, "key_file", &tls.KeyFile, cursor.filePath) && ok
	return tls, set(f, "client_ca_file", &tls.ClientCAFile, cursor.filePath) && ok
}

// readTokens reads tokens by name.
func (r *reader) readTokens(c cursor) ([]Token, bool) {
	all, ok := c.entries("a mapping of names, such as {alice: {file: /etc/routesteer/alice.token}}")
	if len(all) > maxTokens {
		c.problem("more than %d tokens", maxTokens)
		return nil, false
	}
	var tokens []Token
	for _, e := range all {
		token, good := r.readToken(e)
		ok = good && ok
		tokens = append(tokens, token)
	}
	slices.SortFunc(tokens, func(a, b Token) int { return strings.Compare(a.Name, b.Name) })
	return tokens, ok
}

func (r *reader) readToken(e entry) (Token, bool) {
	token := Token{Name: e.name}
	if !checkName(e.key, "token", e.name) {
		return token, false
	}
	secret, f, ok := readSecretOf(e.value, tokenObject)
	token.Secret = secret
	if !ok {
		return token, false
	}
	return token, set(f, "servers", &token.Servers, r.readSomeServers)
}
