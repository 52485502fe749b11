package bgp

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// A rawPeer is a BGP speaker that says what a test has it say, and keeps every
// UPDATE that it gets.
type rawPeer struct {
	t        testing.TB
	listener net.Listener
	conn     net.Conn
	updates  chan *bgp.BGPUpdate // closed when the session ends
}

// listen makes a raw peer on the router, to which the speaker connects.
func (r *router) listen(t testing.TB) *rawPeer {
	t.Helper()
	p := &rawPeer{t: t}
	err := r.kernel.Do(func() (err error) {
		p.listener, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", netip.AddrPortFrom(router4, 179).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.listener.Close()
		if p.conn != nil {
			_ = p.conn.Close()
			for range p.updates { // until the reader has ended
			}
		}
	})
	return p
}

// accept begins a session with these capabilities.
func (p *rawPeer) accept(capabilities ...bgp.ParameterCapabilityInterface) {
	p.t.Helper()
	conn, err := p.listener.Accept()
	if err != nil {
		p.t.Fatal(err)
	}
	p.conn, p.updates = conn, make(chan *bgp.BGPUpdate, 10_000)
	open, err := bgp.NewBGPOpenMessage(theirAS, 90, router4, []bgp.OptionParameterInterface{bgp.NewOptionParameterCapability(capabilities)})
	if err != nil {
		p.t.Fatal(err)
	}
	p.send(open)
	p.send(bgp.NewBGPKeepAliveMessage())
	modern := slices.ContainsFunc(capabilities, func(c bgp.ParameterCapabilityInterface) bool {
		return c.Code() == bgp.BGP_CAP_FOUR_OCTET_AS_NUMBER
	})
	go p.read(conn, &bgp.MarshallingOption{Use2ByteAS: !modern})
}

func (p *rawPeer) send(message *bgp.BGPMessage) {
	p.t.Helper()
	data, err := message.Serialize()
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(data)
}

func (p *rawPeer) write(data []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(data); err != nil {
		p.t.Logf("the speaker has ended the session: %v", err)
	}
}

// read keeps the UPDATEs, until the session ends.
func (p *rawPeer) read(conn net.Conn, options *bgp.MarshallingOption) {
	defer close(p.updates)
	for {
		header := make([]byte, bgp.BGP_HEADER_LENGTH)
		if _, err := io.ReadFull(conn, header); err != nil {
			return
		}
		body := make([]byte, int(binary.BigEndian.Uint16(header[16:]))-len(header))
		if _, err := io.ReadFull(conn, body); err != nil {
			return
		}
		message, err := bgp.ParseBGPMessage(append(header, body...), options)
		if err != nil {
			return
		}
		switch body := message.Body.(type) {
		case *bgp.BGPUpdate:
			p.updates <- body
		case *bgp.BGPKeepAlive:
			alive, _ := bgp.NewBGPKeepAliveMessage().Serialize()
			_, _ = conn.Write(alive) // the session may have ended: the next read tells
		}
	}
}

// hears waits until the router is told of a next hop, in this session or, if it
// ends, in the next one.
func (p *rawPeer) hears(hop netip.Addr, capabilities ...bgp.ParameterCapabilityInterface) {
	p.t.Helper()
	for {
		select {
		case update, open := <-p.updates:
			if !open {
				p.accept(capabilities...)
				continue
			}
			if _, got := announces(update); got == hop {
				return
			}
		case <-time.After(30 * time.Second):
			p.t.Fatalf("the router does not hear of %s", hop)
		}
	}
}

// next returns the next UPDATE that is no End-of-RIB.
func (p *rawPeer) next() *bgp.BGPUpdate {
	p.t.Helper()
	for {
		select {
		case update, open := <-p.updates:
			if !open {
				p.t.Fatal("the session has ended")
			}
			if end, _ := update.IsEndOfRib(); !end {
				return update
			}
		case <-time.After(30 * time.Second):
			p.t.Fatal("no UPDATE")
		}
	}
}

// withdraws reports whether an UPDATE withdraws anything.
func withdraws(update *bgp.BGPUpdate) bool {
	for _, attribute := range update.PathAttributes {
		if _, is := attribute.(*bgp.PathAttributeMpUnreachNLRI); is {
			return true
		}
	}
	return len(update.WithdrawnRoutes) > 0
}

// announces lists what an UPDATE announces.
func announces(update *bgp.BGPUpdate) (prefixes []bgp.PathNLRI, nextHop netip.Addr) {
	prefixes = update.NLRI
	for _, attribute := range update.PathAttributes {
		switch a := attribute.(type) {
		case *bgp.PathAttributeNextHop:
			nextHop = a.Value
		case *bgp.PathAttributeMpReachNLRI:
			prefixes, nextHop = a.Value, a.Nexthop
		}
	}
	return prefixes, nextHop
}
