package flows

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkForward sends TCP segments of existing connections through the
// router to a server that drops them, and tells what one costs on the whole way,
// all of which is done by the sending core. The difference to "at rest" is what
// a transition costs.
func BenchmarkForward(b *testing.B) {
	for _, clients := range []int{1, 10000} {
		for _, state := range []string{"at rest", "another VIP moves", "it moves"} {
			b.Run(fmt.Sprintf("%s/connections=%d", state, clients), func(b *testing.B) { forward(b, state, clients) })
		}
	}
}

func forward(b *testing.B, state string, clients int) {
	w := newWorld(b)
	options := usual
	options.Limit = 1 << 20
	k := w.open(options)
	w.route(vip4, web(vip4, 1))
	w.route(other, web(other, 1))
	w.run(w.servers[0], "nft add table ip sink")
	w.run(w.servers[0], "nft add chain ip sink in { type filter hook prerouting priority -300 ; }")
	w.run(w.servers[0], "nft add rule ip sink in ip daddr "+address(vip4).String()+" tcp dport 7001 drop")
	switch state {
	case "another VIP moves":
		w.move(k, other, web(other, 1), web(other, 2))
	case "it moves":
		w.move(k, vip4, web(vip4, 1), web(vip4, 2))
	}
	send := w.segments(b, clients)
	b.ResetTimer()
	for i := range b.N {
		send(i)
	}
}

// segments returns a function that sends a segment of one of so many
// connections to port 7001 of the VIP.
func (w *world) segments(t testing.TB, clients int) func(i int) {
	var fd int
	err := w.client.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	packet := segment(netip.MustParseAddr("10.0.0.2"), address(vip4))
	to := &unix.SockaddrInet4{Addr: address(vip4).As4()}
	return func(i int) {
		binary.BigEndian.PutUint16(packet[20:], uint16(20000+i%clients))
		if err := unix.Sendto(fd, packet, 0, to); err != nil {
			t.Fatal(err)
		}
	}
}

// segment is an IPv4 packet with a TCP ACK to port 7001 and 20 bytes.
func segment(from, to netip.Addr) []byte {
	packet := make([]byte, 60)
	packet[0], packet[8], packet[9] = 0x45, 64, unix.IPPROTO_TCP
	binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)))
	copy(packet[12:], from.AsSlice())
	copy(packet[16:], to.AsSlice())
	binary.BigEndian.PutUint16(packet[22:], 7001)
	packet[32], packet[33] = 5<<4, ack
	return packet
}

// BenchmarkBegin tells what it takes to put so many prefixes in transition.
func BenchmarkBegin(b *testing.B) {
	for _, n := range []int{1, 1000, 100000} {
		b.Run(fmt.Sprintf("prefixes=%d", n), func(b *testing.B) {
			w := newWorld(b)
			k := w.open(usual)
			moves, prefixes := many(n)
			for b.Loop() {
				if err := k.Begin(moves); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := k.End(prefixes); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkFlows fills the table with connections, and tells what one takes of
// the kernel's memory, and what it takes to count them all.
func BenchmarkFlows(b *testing.B) {
	const flows = 50000
	w := newWorld(b)
	options := usual
	options.Limit = 1 << 20
	k := w.open(options)
	w.route(vip4, web(vip4, 1))
	w.run(w.servers[0], "nft add table ip sink")
	w.run(w.servers[0], "nft add chain ip sink in { type filter hook prerouting priority -300 ; }")
	w.run(w.servers[0], "nft add rule ip sink in tcp dport 7001 drop")
	w.move(k, vip4, web(vip4, 1), web(vip4, 2))
	before := unreclaimable(b)
	send := w.segments(b, flows)
	for i := range flows {
		send(i)
	}
	noted := w.transition(k).Count()
	grown := unreclaimable(b) - before
	for b.Loop() {
		w.transition(k)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(noted), "ns/connection")
	b.ReportMetric(float64(grown)/float64(noted), "bytes/connection")
}

// unreclaimable is the kernel's own memory in bytes.
func unreclaimable(t testing.TB) int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if words[0] == "SUnreclaim:" || words[0] == "VmallocUsed:" {
			n, err := strconv.ParseInt(words[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			total += n << 10
		}
	}
	return total
}

func many(n int) (moves []Move, prefixes []netip.Prefix) {
	at := netip.MustParseAddr("10.128.0.0")
	for range n {
		p := netip.PrefixFrom(at, 32)
		moves = append(moves, Move{Prefix: p, From: web(p, 1), To: web(p, 2)})
		prefixes = append(prefixes, p)
		at = at.Next()
	}
	return moves, prefixes
}
