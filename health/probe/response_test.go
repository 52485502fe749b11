package probe

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/topology"
)

// judge feeds a response to a reply, in pieces of n bytes, then the end of the
// connection, and returns the outcome in words.
func judge(spec topology.HTTP, response string, n int) string {
	fillHTTP(&spec)
	r := newReply(spec)
	r.reset()
	for b := []byte(response); len(b) > 0; {
		piece := b[:min(n, len(b))]
		b = b[len(piece):]
		done, err := r.feed(piece)
		switch {
		case err != nil:
			return err.Error()
		case done && r.reusable():
			return "pass, reusable"
		case done:
			return "pass"
		}
	}
	closed, err := r.eof()
	switch {
	case closed:
		return "closed " + r.waitingFor()
	case err != nil:
		return err.Error()
	default:
		return "pass"
	}
}

func TestResponses(t *testing.T) {
	var (
		plain = topology.HTTP{}
		head  = topology.HTTP{Method: "HEAD", KeepAlive: true}
		kept  = topology.HTTP{KeepAlive: true}
		body  = topology.HTTP{Body: "ok"}
		both  = topology.HTTP{Body: "ok", KeepAlive: true}
		only  = topology.HTTP{Status: []topology.StatusRange{{First: 200, Last: 200}, {First: 301, Last: 302}}}
	)
	for _, c := range []struct {
		name     string
		spec     topology.HTTP
		response string
		want     string
	}{
		{"a status in range passes after the headers", plain, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "pass"},
		{"a redirect passes by its status", plain, "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", "pass"},
		{"a status out of range fails", plain, "HTTP/1.1 503 No\r\n\r\n", "status 503, want 200-399"},
		{"ranges are named as the file does", only, "HTTP/1.1 204 No\r\n\r\n", "status 204, want 200, 301-302"},
		{"no reason phrase, bare line feeds", plain, "HTTP/1.0 200\n\n", "pass"},
		{"interim responses are skipped", plain, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 500 No\r\n\r\n", "status 500, want 200-399"},
		{"no end of interim responses", plain, strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1000), "malformed response: no end of interim responses"},
		{"another protocol", plain, "SSH-2.0-OpenSSH_9.2\r\n", `malformed response: "S`},
		{"a status that is no number", plain, "HTTP/1.1 2x0 OK\r\n\r\n", `malformed response: status line "HTTP/1.1 2x0 OK"`},
		{"a header without a colon", plain, "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", `malformed response: header line "nonsense"`},
		{"two lengths", plain, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", `malformed response: Content-Length "2"`},
		{"a negative length", plain, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", `malformed response: Content-Length "-1"`},
		{"headers without end", plain, "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead), "malformed response: more than 16 KiB of headers"},
		{"the end within the headers", plain, "HTTP/1.1 200 OK\r\nX: ", "closed reading the response"},
		{"no response", plain, "", "closed waiting for the response"},

		{"the text is in a body of that length", body, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nis ok", "pass"},
		{"the text comes after the body's length", body, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nis ok", `body lacks "ok"`},
		{"the text is across chunks", body, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nis o\r\n1\r\nk\r\n0\r\n\r\n", "pass"},
		{"the chunks lack the text", body, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nno o\r\n0\r\nX: ok\r\n\r\n", `body lacks "ok"`},
		{"a chunk size that is no number", body, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "malformed response: chunk size"},
		{"a chunk longer than its size", body, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", "malformed response: a chunk is longer than its size"},
		{"a body that the end of the connection ends", body, "HTTP/1.1 200 OK\r\n\r\nis ok", "pass"},
		{"the same without the text", body, "HTTP/1.1 200 OK\r\n\r\nis no", `body lacks "ok"`},
		{"no body at all", body, "HTTP/1.1 204 No Content\r\n\r\n", `body lacks "ok"`},
		{"a body cut off", body, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nis", "closed reading the body"},
		{"the text after 64 KiB", body, "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", maxBody) + "ok", `body lacks "ok"`},

		{"a kept connection after the body", kept, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", "pass, reusable"},
		{"after chunks and trailer", kept, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\nX: y\r\n\r\n", "pass, reusable"},
		{"after the answer to HEAD", head, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "pass, reusable"},
		{"after the text and the rest", both, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok..", "pass, reusable"},
		{"not when the server closes", kept, "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nno", "pass"},
		{"not with HTTP/1.0", kept, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nno", "pass"},
		{"not after more than 64 KiB", kept, "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + strings.Repeat("x", 99999), "pass"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range []int{1, 7, 4096, 1 << 20} {
				if got := judge(c.spec, c.response, n); got != c.want && !(strings.HasSuffix(c.want, `"S`) && strings.HasPrefix(got, c.want)) {
					t.Errorf("in pieces of %d: %q, want %q", n, got, c.want)
				}
			}
		})
	}
}

// FuzzResponse holds that any bytes are judged within bounds, and alike however
// they are cut.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"HTTP/1.0 301\n\n", "HTTP/1.1 204 No\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n folded\r\n\r\nx",
	} {
		f.Add([]byte(seed), uint8(3), true, true)
	}
	f.Fuzz(func(t *testing.T, response []byte, cut uint8, wantBody, keepAlive bool) {
		spec := topology.HTTP{KeepAlive: keepAlive}
		if wantBody {
			spec.Body = "ok"
		}
		if len(response) > 2*maxHead {
			return
		}
		whole := judge(spec, string(response), len(response)+1)
		cutUp := judge(spec, string(response), int(cut)+1)
		// What a message quotes depends on how much had come.
		if whole != cutUp && !(strings.HasPrefix(whole, "malformed") && strings.HasPrefix(cutUp, "malformed")) {
			t.Errorf("whole: %q, in pieces of %d: %q", whole, int(cut)+1, cutUp)
		}
	})
}

func TestRequests(t *testing.T) {
	for _, c := range []struct {
		spec topology.HTTP
		to   string
		want string
	}{
		{topology.HTTP{}, "203.0.113.33", "GET / HTTP/1.1\r\nHost: 203.0.113.33\r\nUser-Agent: routesteer\r\nConnection: close\r\n\r\n"},
		{topology.HTTP{Port: 8080, KeepAlive: true}, "2001:db8::1", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\nUser-Agent: routesteer\r\n\r\n"},
		{
			topology.HTTP{Method: "HEAD", Path: "/x?y", Host: "shop.example", Headers: []topology.Header{{Name: "USER-agent", Value: "me"}}}, "203.0.113.33",
			"HEAD /x?y HTTP/1.1\r\nHost: shop.example\r\nUSER-agent: me\r\nConnection: close\r\n\r\n",
		},
	} {
		fillHTTP(&c.spec)
		if got := string(renderRequest(c.spec, netip.MustParseAddr(c.to))); got != c.want {
			t.Errorf("got %q\nwant %q", got, c.want)
		}
	}
}

func TestEchoReplies(t *testing.T) {
	const id, token = 7, 0x0102030405060708
	sent := echo{slot: 3, count: 70000}
	for _, v4 := range []bool{true, false} {
		reply := appendEcho(nil, v4, id, token, sent)
		if v4 {
			reply[0], reply[2], reply[3] = echoReply4, 0, 0
			sum := checksum(reply)
			reply[2], reply[3] = byte(sum>>8), byte(sum)
			reply = append(append([]byte{0x46}, make([]byte, 23)...), reply...) // an IP header with an option
		} else {
			reply[0] = echoReply6
		}
		if got, ok := parseEcho(reply, v4, id, token); !ok || got != sent {
			t.Errorf("IPv4 %t: got %v, %t", v4, got, ok)
		}
		for i := range reply {
			if v4 && 0 < i && i < 24 {
				continue // the kernel has looked at the IP header
			}
			broken := bytes.Clone(reply)
			broken[i] ^= 0x55
			if got, ok := parseEcho(broken, v4, id, token); ok && (v4 || got == sent && i != 2 && i != 3) {
				t.Errorf("IPv4 %t: accepted with byte %d broken", v4, i)
			}
			if _, ok := parseEcho(reply[:i], v4, id, token); ok {
				t.Errorf("IPv4 %t: accepted when cut to %d bytes", v4, i)
			}
		}
		if _, ok := parseEcho(reply, v4, id+1, token); ok {
			t.Errorf("IPv4 %t: accepted another program's", v4)
		}
	}
}

// FuzzEcho holds that no packet breaks the parser, and that only our token
// makes it accept one.
func FuzzEcho(f *testing.F) {
	const id, token = 7, 0x0102030405060708
	f.Add(appendEcho(nil, false, id, token, echo{1, 2}), false)
	f.Add(append(make([]byte, 20), appendEcho(nil, true, id, token, echo{1, 2})...), true)
	f.Add([]byte{0x45}, true)
	f.Fuzz(func(t *testing.T, packet []byte, v4 bool) {
		if _, ok := parseEcho(packet, v4, id, token); ok && !bytes.Contains(packet, []byte{1, 2, 3, 4, 5, 6, 7, 8}) {
			t.Error("accepted without the token")
		}
	})
}
