package lab

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"
)

// serverHeader names the server in every HTTP answer.
const serverHeader = "X-Server"

const (
	maxRequest   = 8 << 10 // bytes of a request's head, at most
	usualRequest = 512     // and nearly always: thousands of connections have a buffer each
)

// A website answers HTTP/1.1: GET and HEAD of /healthz, and of / with the
// server's name and the nonce asked for (/?n=NONCE). net/http would do this
// too, for more than twice the CPU, and the machine is the measurement's.
type website struct {
	name    string
	buffers sync.Pool
}

// acceptAll serves until the listener is closed. Connections still open then
// end with the process.
func (w *website) acceptAll(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			<-time.After(10 * time.Millisecond) // out of files: some will be closed
			continue
		}
		go w.serve(conn)
	}
}

// serve answers requests until the client closes the connection, asks to
// close it, or breaks the protocol.
func (w *website) serve(conn net.Conn) {
	defer conn.Close()
	buffer, ok := w.buffers.Get().(*[]byte)
	if !ok {
		fresh := make([]byte, usualRequest)
		buffer = &fresh
	}
	defer w.buffers.Put(buffer)
	var answer [512]byte
	have := 0
	for {
		head := bytes.Index((*buffer)[:have], []byte("\r\n\r\n"))
		if head < 0 {
			if have == maxRequest {
				return
			}
			if have == len(*buffer) {
				*buffer = append(*buffer, make([]byte, maxRequest-have)...)
			}
			n, err := conn.Read((*buffer)[have:])
			if err != nil {
				return
			}
			have += n
			continue
		}
		request := parseRequest((*buffer)[:head])
		if _, err := conn.Write(w.answer(answer[:0], request)); err != nil || request.close {
			return
		}
		have = copy(*buffer, (*buffer)[head+4:have])
	}
}

// A request is what matters of a request's head.
type request struct {
	status int    // of the answer, as far as the head decides it
	head   bool   // no body in the answer
	close  bool   // the connection ends with the answer
	path   []byte // without the query
	nonce  []byte
}

// parseRequest reads the head of a request, without its empty line.
func parseRequest(head []byte) request {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	words := bytes.Fields(line)
	if len(words) != 3 || !bytes.HasPrefix(words[2], []byte("HTTP/1.")) {
		return request{status: 400, close: true}
	}
	r := request{status: 200, close: string(words[2]) == "HTTP/1.0"}
	switch string(words[0]) {
	case "GET":
	case "HEAD":
		r.head = true
	default:
		// A body may follow that is not read here.
		return request{status: 405, close: true}
	}
	var query []byte
	r.path, query, _ = bytes.Cut(words[1], []byte("?"))
	r.nonce, _ = bytes.CutPrefix(query, []byte("n="))
	if !r.readFields(fields) && !r.close {
		return request{status: 400, close: true} // RFC 9112 section 3.2: Host is a must in 1.1
	}
	if len(r.nonce) > 128 {
		r.status = 414
	}
	return r
}

// readFields reads the header fields and reports whether Host is among them.
func (r *request) readFields(fields []byte) (host bool) {
	for len(fields) > 0 {
		var field []byte
		field, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, _ := bytes.Cut(field, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case equalFold(name, "Host"):
			host = true
		case equalFold(name, "Connection"):
			r.close = r.close || equalFold(value, "close")
		case equalFold(name, "Content-Length") && string(value) != "0", equalFold(name, "Transfer-Encoding"):
			r.close = true // the body is not read
		}
	}
	return host
}

func equalFold(word []byte, want string) bool {
	return len(word) == len(want) && bytes.EqualFold(word, []byte(want))
}

// answer appends the answer to b.
func (w *website) answer(b []byte, r request) []byte {
	status, body := "200 OK", [3]string{}
	switch {
	case r.status == 400:
		status = "400 Bad Request"
	case r.status == 405:
		status = "405 Method Not Allowed\r\nAllow: GET, HEAD"
	case r.status == 414:
		status = "414 URI Too Long"
	case string(r.path) == healthPath:
		body[0] = "ok\n"
	case string(r.path) == "/":
		body = [3]string{w.name + " ", string(r.nonce), "\n"}
	default:
		status = "404 Not Found"
	}
	b = append(b, "HTTP/1.1 "...)
	b = append(b, status...)
	b = append(b, "\r\nContent-Type: text/plain\r\n"+serverHeader+": "...)
	b = append(b, w.name...)
	b = append(b, "\r\nDate: "...)
	b = time.Now().UTC().AppendFormat(b, "Mon, 02 Jan 2006 15:04:05 GMT")
	if r.close {
		b = append(b, "\r\nConnection: close"...)
	}
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body[0])+len(body[1])+len(body[2])), 10)
	b = append(b, "\r\n\r\n"...)
	if r.head {
		return b
	}
	for _, part := range body {
		b = append(b, part...)
	}
	return b
}

// httpRequest appends a request that the generator makes, with an answer that
// only this request can have. It is the connection's last one unless keep.
func httpRequest(b []byte, host string, nonce uint64, keep bool) []byte {
	b = append(b, "GET /?n="...)
	b = appendNonce(b, nonce)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	if !keep {
		b = append(b, "\r\nConnection: close"...)
	}
	return append(b, "\r\n\r\n"...)
}

// appendNonce appends a nonce, always of the same length.
func appendNonce(b []byte, nonce uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[nonce>>shift&15])
	}
	return b
}
