package probe

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/routesteer/routesteer/topology"
)

// renderRequest writes a check's request out (RFC 9112, section 3), once: it
// never changes.
func renderRequest(spec topology.HTTP, to netip.Addr) []byte {
	host := spec.Host
	if host == "" {
		host = defaultHost(spec, to)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", spec.Method, spec.Path, host)
	named := false
	for _, h := range spec.Headers {
		named = named || isName([]byte(h.Name), "user-agent")
		fmt.Fprintf(&b, "%s: %s\r\n", h.Name, h.Value)
	}
	if !named {
		b.WriteString("User-Agent: routesteer\r\n")
	}
	if !spec.KeepAlive {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// defaultHost is the address in a URL's form; the port only if it is not the
// scheme's own (RFC 9110, section 7.2).
func defaultHost(spec topology.HTTP, to netip.Addr) string {
	host := to.WithZone("").String()
	if to.Is6() {
		host = "[" + host + "]"
	}
	if spec.TLS && spec.Port == 443 || !spec.TLS && spec.Port == 80 {
		return host
	}
	return host + ":" + strconv.Itoa(int(spec.Port))
}

// serverName is what a certificate must be for.
func serverName(spec topology.HTTP, to netip.Addr) string {
	if spec.Host == "" {
		return to.WithZone("").String()
	}
	if name, _, err := net.SplitHostPort(spec.Host); err == nil {
		return name
	}
	return spec.Host
}
