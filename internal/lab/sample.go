package lab

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// A Result is what became of one request or packet.
type Result uint8

const (
	OK          Result = iota // the right answer, complete and in time
	Timeout                   // no complete answer within a second
	Refused                   // connection refused
	Reset                     // connection reset
	Unreachable               // the network said that there is no way
	Short                     // the connection ended before the answer was complete
	Wrong                     // an answer, but not to this request, or not 200
	Overload                  // the generator could not start it: the measurement is void
	Ended                     // a kept connection was closed by its server, between requests
)

// String returns the result in words.
func (r Result) String() string {
	words := [...]string{"ok", "timeout", "refused", "reset", "unreachable", "short answer", "wrong answer", "generator overload", "ended by the server"}
	if int(r) >= len(words) {
		panic("lab: no such result")
	}
	return words[r]
}

// A Kind tells requests from packets.
type Kind uint8

const (
	HTTP Kind = iota // a new connection with one request
	UDP              // a packet that is echoed
	// Of established connections, which the client keeps. Their Server is the one
	// that the connection was opened to, whoever answers.
	Open   // a connection was opened to be kept, and had its first answer
	Reopen // the same, in place of one that broke
	Talk   // a request on it; with another result than OK it is broken
	Finish // it was closed by the client, who was told to
)

// String returns the kind in words.
func (k Kind) String() string {
	words := [...]string{"request", "packet", "opening", "opening again", "request on an established connection", "close"}
	if int(k) >= len(words) {
		panic("lab: no such kind of sample")
	}
	return words[k]
}

// kept reports whether it is about an established connection.
func (k Kind) kept() bool { return k >= Open }

// A Sample is one request or packet, from start to end.
type Sample struct {
	Kind   Kind
	Result Result
	VIP    int           // index in the site
	Server int           // which one answered: index in the site, -1 for none
	Start  time.Time     // when it was started
	Took   time.Duration // until it was decided
	Late   time.Duration // how much after its due time it was started
}

// End is when it was decided.
func (s Sample) End() time.Time { return s.Start.Add(s.Took) }

// lateLimit is how late a start may be before it is counted as late: the
// generator did not get the CPU, and what it measures then is itself.
const lateLimit = 5 * time.Millisecond

// sampleSize is the length of an encoded sample:
//
//	kind, result: 1 byte each | VIP, server+1: 2 each | late µs, took µs: 4 each | start, Unix ns: 8
const sampleSize = 22

// append encodes the sample.
func (s Sample) append(b []byte) []byte {
	b = append(b, byte(s.Kind), byte(s.Result))
	b = binary.LittleEndian.AppendUint16(b, uint16(s.VIP))
	b = binary.LittleEndian.AppendUint16(b, uint16(s.Server+1))
	b = binary.LittleEndian.AppendUint32(b, uint32(s.Late.Microseconds()))
	b = binary.LittleEndian.AppendUint32(b, uint32(s.Took.Microseconds()))
	return binary.LittleEndian.AppendUint64(b, uint64(s.Start.UnixNano()))
}

// readSamples decodes samples from r and gives them to take, some at a time,
// until r ends. The slice is take's only until it returns.
func readSamples(r io.Reader, take func([]Sample)) error {
	var buffer [1000 * sampleSize]byte
	var samples []Sample
	have := 0
	for {
		n, err := r.Read(buffer[have:])
		have += n
		whole := have - have%sampleSize
		samples = samples[:0]
		for at := 0; at < whole; at += sampleSize {
			samples = append(samples, decodeSample(buffer[at:at+sampleSize]))
		}
		take(samples)
		have = copy(buffer[:], buffer[whole:have])
		if err == io.EOF && have == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the load's samples: %w", err)
		}
	}
}

func decodeSample(b []byte) Sample {
	return Sample{
		Kind:   Kind(b[0]),
		Result: Result(b[1]),
		VIP:    int(binary.LittleEndian.Uint16(b[2:])),
		Server: int(binary.LittleEndian.Uint16(b[4:])) - 1,
		Late:   time.Duration(binary.LittleEndian.Uint32(b[6:])) * time.Microsecond,
		Took:   time.Duration(binary.LittleEndian.Uint32(b[10:])) * time.Microsecond,
		Start:  time.Unix(0, int64(binary.LittleEndian.Uint64(b[14:]))),
	}
}
