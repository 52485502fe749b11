package topology

import (
	"strings"
	"unicode"
)

// readGRPC reads a port, or a mapping with one: there is no default port.
func readGRPC(c cursor) (*GRPC, bool) {
	grpc := &GRPC{}
	if c.isWord() {
		port, ok := c.integer(1, 65535)
		grpc.Port = uint16(port)
		return grpc, ok
	}
	f, ok := c.fields(grpcObject, "a port such as 50051, or a mapping with port, service, tls")
	if !ok || !needsPort(f, "grpc", "50051") {
		return nil, false
	}
	ok = setInt(f, "port", &grpc.Port, 1, 65535)
	ok = set(f, "service", &grpc.Service, readService) && ok
	return grpc, set(f, "tls", &grpc.TLS, readGRPCTLS) && ok
}

// readService reads the name of a gRPC service.
func readService(c cursor) (string, bool) {
	word, ok := c.word("the name of a service such as shop.v1.Cart")
	if ok && (len(word) > maxHost || strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsGraphic(r) })) {
		c.problem("%q is not the name of a service such as shop.v1.Cart", shorten(word))
		return "", false
	}
	return word, ok
}

// readGRPCTLS reads true, false, or what the certificate must be like.
func readGRPCTLS(c cursor) (*Certificate, bool) {
	certificate := defaultCertificate()
	if c.isWord() {
		secure, ok := c.boolean()
		if !secure {
			return nil, ok
		}
		return &certificate, ok
	}
	f, ok := c.fields(grpcTLSObject, "true, false, or a mapping with server_name, ca_file")
	if !ok {
		return nil, false
	}
	return &certificate, readCertificate(f, &certificate)
}
