package flows

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/net/icmp"
	nipv4 "golang.org/x/net/ipv4"
	nipv6 "golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// tooBig lets the client say what a router on the way would: that a packet of
// the connection, from the VIP, is too big.
func (w *world) tooBig(vip netip.Prefix, p *peer) {
	w.t.Helper()
	local := p.LocalAddr().(*net.TCPAddr).AddrPort()
	packet := quoted(address(vip), local.Addr().Unmap(), local.Port())
	network := "ip4:icmp"
	message := icmp.Message{Type: nipv4.ICMPTypeDestinationUnreachable, Code: 4, Body: &icmp.DstUnreach{Data: packet}}
	if vip.Addr().Is6() {
		network = "ip6:ipv6-icmp"
		message = icmp.Message{Type: nipv6.ICMPTypePacketTooBig, Body: &icmp.PacketTooBig{MTU: 1280, Data: packet}}
	}
	raw, err := message.Marshal(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	err = w.client.Do(func() error {
		conn, err := net.ListenPacket(network, "")
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.WriteTo(raw, &net.IPAddr{IP: address(vip).AsSlice()})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// quoted is the beginning of a TCP packet from the VIP to the client.
func quoted(from, to netip.Addr, clientPort uint16) []byte {
	header := make([]byte, 20)
	header[0], header[9] = 0x45, unix.IPPROTO_TCP
	binary.BigEndian.PutUint16(header[2:], 1500)
	at := 12
	if from.Is6() {
		header = make([]byte, 40)
		header[0], header[6] = 0x60, unix.IPPROTO_TCP
		binary.BigEndian.PutUint16(header[4:], 1460)
		at = 8
	}
	copy(header[at:], from.AsSlice())
	copy(header[at+len(from.AsSlice()):], to.AsSlice())
	vipPort, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		panic(err)
	}
	header = binary.BigEndian.AppendUint16(header, uint16(vipPort))
	header = binary.BigEndian.AppendUint16(header, clientPort)
	return append(header, 0, 0, 0, 0)
}

// icmpErrors is how many packets a server was told of that were too big.
func (w *world) icmpErrors(server int) (count int) {
	w.t.Helper()
	err := w.servers[server].Do(func() error {
		for _, file := range []string{"/proc/thread-self/net/snmp", "/proc/thread-self/net/snmp6"} {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			count += counted(string(text))
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return count
}

// counted reads InDestUnreachs of snmp, and Icmp6InPktTooBigs of snmp6.
func counted(text string) (count int) {
	var names []string
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 2 && words[0] == "Icmp6InPktTooBigs":
			n, _ := strconv.Atoi(words[1])
			count += n
		case len(words) == 0 || words[0] != "Icmp:":
		case names == nil:
			names = words
		default:
			for i, name := range names {
				if name == "InDestUnreachs" {
					n, _ := strconv.Atoi(words[i])
					count += n
				}
			}
		}
	}
	return count
}
