package topology

import (
	"strings"
	"unicode"
)

// readHTTP reads an http or https probe: nothing, a port, or a mapping.
func readHTTP(c cursor, tls bool) (*HTTP, bool) {
	http := defaultHTTP(tls)
	if c.isNull() {
		return http, true
	}
	if c.isWord() {
		port, ok := c.integer(1, 65535)
		http.Port = uint16(port)
		return http, ok
	}
	kind := httpObject
	if tls {
		kind = httpsObject
	}
	f, ok := c.fields(kind, "a port such as 80, or a mapping with port, path, status")
	if !ok {
		return nil, false
	}
	ok = setInt(f, "port", &http.Port, 1, 65535)
	ok = setChoice(f, "method", &http.Method, "GET", "HEAD") && ok
	ok = set(f, "path", &http.Path, readPath) && ok
	ok = set(f, "host", &http.Host, readHost) && ok
	ok = set(f, "headers", &http.Headers, readHeaders) && ok
	ok = set(f, "status", &http.Status, readStatus) && ok
	ok = set(f, "body", &http.Body, readBody) && ok
	ok = setBool(f, "keep_alive", &http.KeepAlive) && ok
	ok = readCertificate(f, &http.Certificate) && ok
	if ok && http.Method == "HEAD" && http.Body != "" {
		f.values["body"].key.problem("method HEAD brings no body to look at: use GET, or remove body")
		return nil, false
	}
	return http, ok
}

// readPath reads what stands in the request line.
func readPath(c cursor) (string, bool) {
	const want = "a path such as /healthz"
	word, ok := c.word(want)
	if !ok {
		return "", false
	}
	if !strings.HasPrefix(word, "/") {
		c.problem("path %q does not start with /, did you mean %q?", shorten(word), "/"+shorten(word))
		return "", false
	}
	if strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		c.problem("path %q has a space or a letter beyond ASCII: write it as %%20 and the like", shorten(word))
		return "", false
	}
	return word, true
}

// maxHost is as long as a host name can be.
const maxHost = 253

// readHost reads a Host header.
func readHost(c cursor) (string, bool) {
	word, ok := c.word("a host name such as www.example.com")
	if !ok {
		return "", false
	}
	if word == "" || len(word) > maxHost || strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("/\\?#@", r) }) {
		c.problem("%q is not a host name such as www.example.com", shorten(word))
		return "", false
	}
	return word, true
}

// maxBody is how much of a body a check reads, and so the longest text it can
// find.
const maxBody = 64 << 10

// readBody reads the text to look for.
func readBody(c cursor) (string, bool) {
	word, ok := c.word("the text that the body must contain")
	if ok && len(word) > maxBody {
		c.problem("the text has %d bytes, but only the first %d of a body are read", len(word), maxBody)
		return "", false
	}
	return word, ok
}

// readHeaders reads request headers, in file order.
func readHeaders(c cursor) ([]Header, bool) {
	all, ok := c.entries("a mapping of headers, such as {X-Probe: routesteer}")
	var headers []Header
	lines := map[string]int{}
	for _, e := range all {
		canonical := strings.ToLower(e.name)
		if line, twice := lines[canonical]; twice {
			e.key.problem("header %q is given twice, first on line %d", e.name, line)
			ok = false
			continue
		}
		lines[canonical] = e.key.node.Line
		header, good := readHeader(e)
		headers = append(headers, header)
		ok = ok && good
	}
	return headers, ok
}

// readHeader reads one request header. A line break in it would write
// another header, or another request.
func readHeader(e entry) (Header, bool) {
	if fault := headerFault(e.name); fault != "" {
		e.key.problem("%q cannot be a header: %s", shorten(e.name), fault)
		return Header{}, false
	}
	value, ok := e.value.word("the header's value")
	if ok && strings.ContainsFunc(value, unicode.IsControl) {
		e.value.problem("the value of header %s has a line break or another control character", e.name)
		return Header{}, false
	}
	return Header{Name: e.name, Value: value}, ok
}

// headerFault says why a header cannot be sent.
func headerFault(name string) string {
	switch strings.ToLower(name) {
	case "":
		return "it has no name"
	case "host":
		return "write host: beside headers instead"
	case "connection":
		return "write keep_alive: true or false instead"
	case "content-length", "transfer-encoding":
		return "a check sends no body"
	}
	if strings.ContainsFunc(name, func(r rune) bool { return !isToken(r) }) {
		return "its name has letters, digits and - only"
	}
	return ""
}

// isToken says whether a header name may have that character: RFC 9110,
// section 5.6.2.
func isToken(r rune) bool {
	return isNameRune(r) || strings.ContainsRune("!#$%&'*+^`|~", r)
}

// readStatus reads 200, "200-399", "200,301-302", or a list of these.
func readStatus(c cursor) ([]StatusRange, bool) {
	items, ok := c.words("status codes such as 200-399")
	var ranges []StatusRange
	for _, item := range items {
		word, good := item.word("a status such as 200 or 200-399")
		if !good {
			ok = false
			continue
		}
		for part := range strings.SplitSeq(word, ",") {
			r, good := parseStatus(strings.TrimSpace(part))
			if !good {
				item.problem("%q is not a status such as 200, 200-399 or 200,301-302, from 100 to 599", shorten(word))
				ok = false
				break
			}
			ranges = append(ranges, r)
		}
	}
	return ranges, ok
}

// parseStatus parses 200 or 200-399.
func parseStatus(text string) (StatusRange, bool) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	r := StatusRange{First: statusCode(strings.TrimSpace(first)), Last: statusCode(strings.TrimSpace(last))}
	return r, r.First > 0 && r.First <= r.Last
}

// statusCode parses a code from 100 to 599; 0 when it is none.
func statusCode(text string) int {
	if len(text) != 3 || text[0] < '1' || text[0] > '5' {
		return 0
	}
	code := 0
	for _, digit := range []byte(text) {
		if digit < '0' || digit > '9' {
			return 0
		}
		code = code*10 + int(digit-'0')
	}
	return code
}
