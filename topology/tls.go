package topology

import "strings"

// maxMinDays is a bound for min_days: longer than any authority issues for.
const maxMinDays = 3650

// readTLS reads a tls probe: nothing, a port, or a mapping.
func readTLS(c cursor) (*TLS, bool) {
	tls := defaultTLS()
	if c.isNull() {
		return tls, true
	}
	if c.isWord() {
		port, ok := c.integer(1, 65535)
		tls.Port = uint16(port)
		return tls, ok
	}
	f, ok := c.fields(tlsObject, "a port such as 443, or a mapping with port, server_name, ca_file")
	if !ok {
		return nil, false
	}
	ok = setInt(f, "port", &tls.Port, 1, 65535)
	return tls, readCertificate(f, &tls.Certificate) && ok
}

// readCertificate reads what a server's certificate must be like.
func readCertificate(f fields, want *Certificate) bool {
	ok := set(f, "server_name", &want.ServerName, readServerName)
	ok = set(f, "ca_file", &want.CAFile, cursor.filePath) && ok
	ok = setInt(f, "min_days", &want.MinDays, 0, maxMinDays) && ok
	ok = setBool(f, "skip_verify", &want.SkipVerify) && ok
	if !want.SkipVerify {
		return ok
	}
	want.MinDays = 0
	if vain := f.given("ca_file", "min_days"); len(vain) > 0 {
		f.values[vain[0]].key.problem("%s is of no use with skip_verify: true, which accepts any certificate", vain[0])
		return false
	}
	return ok
}

// readServerName reads the name that a certificate must be for: a host name or
// an address, without a port.
func readServerName(c cursor) (string, bool) {
	word, ok := readHost(c)
	if ok && strings.ContainsAny(word, ":[]") && !looksLikeAddress(word) {
		c.problem("%q is not a host name such as www.example.com, without a port", shorten(word))
		return "", false
	}
	return word, ok
}
