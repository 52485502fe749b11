package flows

import (
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// tableName is the name of our nftables tables, one in each family.
const tableName = "routesteer"

const (
	// openingFor is how long a flow is remembered whose client has not gone on
	// after its SYN. It keeps a flood of SYNs from filling the map for long.
	openingFor = time.Minute
	// closingFor is how long a flow is remembered after its client has said that
	// it ends: for the last answers, and for what the client still says.
	closingFor = time.Minute
	// learnFor is how long after a move UDP flows that send are taken for flows
	// that existed before it.
	learnFor = 5 * time.Second
	// udpSilence is how long such a flow may be silent and still stays.
	udpSilence = 2 * time.Minute
)

// TCP flags, in the byte at offset tcpFlags of the header.
const (
	tcpFlags = 13
	fin      = 0x01
	syn      = 0x02
	rst      = 0x04
	ack      = 0x10
)

// dynsetDelete is NFT_DYNSET_OP_DELETE of linux/netfilter/nf_tables.h.
const dynsetDelete = 2

// Registers of 4 bytes, which the kernel numbers from 8 (NFT_REG32_00) to 23. A
// flow's key takes up to ten of them from the first on; an address alone goes
// there too.
const (
	keyRegister  = 8
	markRegister = 20
	workRegister = 21
)

// sets are our sets and maps of one family.
type sets struct {
	base    *nftables.Set // prefix → mark of flows that nobody has noted
	next    *nftables.Set // prefix → mark of new flows
	learn   *nftables.Set // prefix → mark of UDP flows that are heard now
	flows   *nftables.Set // TCP flow → mark
	closing *nftables.Set // TCP flows whose client ends them
	udp     *nftables.Set // UDP flow → mark
	full    *nftables.Set // VIP addresses with new flows that could not be noted
	missed  *nftables.Set // VIP address → how many; apart, because the kernel counts at each look-up
}

func (s *sets) all() []*nftables.Set {
	return []*nftables.Set{s.base, s.next, s.learn, s.flows, s.closing, s.udp, s.full, s.missed}
}

func newSets(f *family, table *nftables.Table, o Options) *sets {
	key, err := nftables.ConcatSetType(f.address, nftables.TypeInetService, f.address, nftables.TypeInetService)
	if err != nil {
		panic("flows: " + err.Error()) // four types are not too many
	}
	limit := uint32(o.Limit)
	prefixes := func(name string) *nftables.Set {
		return &nftables.Set{Table: table, Name: name, KeyType: f.address, DataType: nftables.TypeMark, IsMap: true, Interval: true, HasTimeout: true}
	}
	noted := func(name string, timeout time.Duration) *nftables.Set {
		return &nftables.Set{Table: table, Name: name, KeyType: key, Concatenation: true, Dynamic: true, HasTimeout: true, Timeout: timeout, Size: limit}
	}
	vips := func(name string) *nftables.Set {
		return &nftables.Set{Table: table, Name: name, KeyType: f.address, Dynamic: true, HasTimeout: true, Timeout: o.Timeout, Size: limit}
	}
	s := &sets{
		base: prefixes("base"), next: prefixes("next"), learn: prefixes("learn"),
		flows: noted("flows", o.Timeout+o.Idle), closing: noted("closing", closingFor), udp: noted("udp", udpSilence),
		full: vips("full"), missed: vips("missed"),
	}
	for _, m := range []*nftables.Set{s.flows, s.udp} {
		m.IsMap, m.DataType = true, nftables.TypeMark
	}
	return s
}

// A writer adds the rules of one family.
type writer struct {
	conn   *nftables.Conn
	family *family
	sets   *sets
}

// rules makes the chains. The hook's priority is that of mangling: before
// routing, and before what an operator may have to say about marks in the
// filter chains.
func (w *writer) rules(sticky bool) {
	table := w.sets.base.Table
	hook := w.conn.AddChain(&nftables.Chain{
		Name: "prerouting", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityMangle,
	})
	tcp := w.conn.AddChain(&nftables.Chain{Name: "tcp", Table: table})
	begin := w.conn.AddChain(&nftables.Chain{Name: "begin", Table: table})
	add := func(chain *nftables.Chain, parts ...[]expr.Any) {
		var all []expr.Any
		for _, part := range parts {
			all = append(all, part...)
		}
		w.conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: all})
	}

	add(hook, w.protocol(unix.IPPROTO_TCP), w.lookUp(w.sets.base), jump("tcp"))
	add(hook, w.protocol(w.family.icmp), w.lookUp(w.sets.base), w.icmpError(), w.quotedKey(), w.noted(w.sets.flows), w.setMark(), accept())
	add(hook, w.protocol(w.family.icmp), w.icmpError(), w.quotedProtocolIs(unix.IPPROTO_TCP), w.lookUp(w.sets.base), w.setMark(), accept())
	if sticky {
		add(hook, w.protocol(unix.IPPROTO_UDP), w.lookUp(w.sets.base), w.key(), w.noted(w.sets.udp), w.setMark(), w.note(w.sets.udp, udpSilence), accept())
		add(hook, w.protocol(unix.IPPROTO_UDP), w.lookUp(w.sets.learn), w.setMark(), w.key(), w.note(w.sets.udp, udpSilence), accept())
	}

	forget := w.sets.flows.Timeout
	add(tcp, flagsAre(syn|ack, syn), jump("begin"))
	add(tcp, flagsAny(fin|rst), w.key(), w.note(w.sets.closing, closingFor))
	add(tcp, w.key(), w.isIn(w.sets.closing), w.noted(w.sets.flows), w.setMark(), w.note(w.sets.flows, closingFor), accept())
	add(tcp, w.key(), w.noted(w.sets.flows), w.setMark(), w.note(w.sets.flows, forget), accept())
	// Past the limit nobody can tell who is new.
	add(tcp, w.isFull(), accept())
	// The mark comes first: what cannot be noted stays where it is all the same.
	add(tcp, w.lookUp(w.sets.base), w.setMark(), w.key(), w.note(w.sets.flows, forget), accept())
	add(tcp, accept())

	add(begin, w.key(), w.unnote(w.sets.closing))
	// A port that is used again is noted anew: an update would keep its old mark.
	add(begin, w.lookUp(w.sets.next), w.key(), w.unnote(w.sets.flows))
	add(begin, w.lookUp(w.sets.next), w.key(), w.note(w.sets.flows, openingFor), w.setMark(), accept())
	add(begin, w.noteVIP(w.sets.full))
	add(begin, w.noteVIP(w.sets.missed, &expr.Counter{}))
	add(begin, w.lookUp(w.sets.next), w.setMark(), accept())
	add(begin, accept())
}

func accept() []expr.Any { return []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}} }

func jump(chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: chain}}
}

func (w *writer) protocol(number uint8) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: workRegister},
		&expr.Cmp{Op: expr.CmpOpEq, Register: workRegister, Data: []byte{number}},
	}
}

func loadFlags(mask uint8) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: workRegister, Base: expr.PayloadBaseTransportHeader, Offset: tcpFlags, Len: 1},
		&expr.Bitwise{SourceRegister: workRegister, DestRegister: workRegister, Len: 1, Mask: []byte{mask}, Xor: []byte{0}},
	}
}

func flagsAre(mask, value uint8) []expr.Any {
	return append(loadFlags(mask), &expr.Cmp{Op: expr.CmpOpEq, Register: workRegister, Data: []byte{value}})
}

func flagsAny(mask uint8) []expr.Any {
	return append(loadFlags(mask), &expr.Cmp{Op: expr.CmpOpNeq, Register: workRegister, Data: []byte{0}})
}

// network loads from the network header, transport from the next one.
func network(register, offset, size uint32) expr.Any {
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size}
}

func transport(register, offset, size uint32) expr.Any {
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: size}
}

// lookUp ends the rule unless the destination is in the map, and loads the
// mark that it has there.
func (w *writer) lookUp(prefixes *nftables.Set) []expr.Any {
	return []expr.Any{
		network(keyRegister, w.family.dest, w.family.size),
		&expr.Lookup{SourceRegister: keyRegister, DestRegister: markRegister, IsDestRegSet: true, SetName: prefixes.Name, SetID: prefixes.ID},
	}
}

// key loads the packet's flow.
func (w *writer) key() []expr.Any {
	words := w.family.size / 4
	return []expr.Any{
		network(keyRegister, w.family.source, w.family.size),
		transport(keyRegister+words, 0, 2),
		network(keyRegister+words+1, w.family.dest, w.family.size),
		transport(keyRegister+2*words+1, 2, 2),
	}
}

// quotedKey loads the flow of the packet that an ICMP error is about: one from
// the VIP, so that the two ends stand the other way round.
func (w *writer) quotedKey() []expr.Any {
	words := w.family.size / 4
	from := w.family.quoted
	return []expr.Any{
		transport(keyRegister, from+w.family.dest, w.family.size),
		transport(keyRegister+words, w.family.quotedPorts+2, 2),
		transport(keyRegister+words+1, from+w.family.source, w.family.size),
		transport(keyRegister+2*words+1, w.family.quotedPorts, 2),
	}
}

func (w *writer) icmpError() []expr.Any {
	return []expr.Any{
		transport(workRegister, 0, 1),
		&expr.Range{Op: expr.CmpOpEq, Register: workRegister, FromData: []byte{w.family.errors[0]}, ToData: []byte{w.family.errors[1]}},
	}
}

func (w *writer) quotedProtocolIs(number uint8) []expr.Any {
	return []expr.Any{
		transport(workRegister, w.family.quotedProtocol, 1),
		&expr.Cmp{Op: expr.CmpOpEq, Register: workRegister, Data: []byte{number}},
	}
}

// noted ends the rule unless the flow is in the map, and loads its mark.
func (w *writer) noted(flows *nftables.Set) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: keyRegister, DestRegister: markRegister, IsDestRegSet: true, SetName: flows.Name, SetID: flows.ID}}
}

func (w *writer) isIn(set *nftables.Set) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: keyRegister, SetName: set.Name, SetID: set.ID}}
}

// note puts the flow into a set, or into a map with the loaded mark, or renews
// it there. It ends the rule if there is no room.
func (w *writer) note(set *nftables.Set, timeout time.Duration) []expr.Any {
	return w.change(set, unix.NFT_DYNSET_OP_UPDATE, timeout)
}

// unnote removes the flow from a set or map, and ends the rule if it is not
// there. A map asks for a loaded mark even so.
func (w *writer) unnote(set *nftables.Set) []expr.Any { return w.change(set, dynsetDelete, 0) }

func (w *writer) change(set *nftables.Set, operation uint32, timeout time.Duration) []expr.Any {
	e := &expr.Dynset{SrcRegKey: keyRegister, SetName: set.Name, SetID: set.ID, Operation: operation, Timeout: timeout}
	if set.IsMap {
		e.SrcRegData = markRegister
	}
	return []expr.Any{e}
}

// noteVIP puts the destination into a set, and runs what is given for it there.
func (w *writer) noteVIP(set *nftables.Set, run ...expr.Any) []expr.Any {
	return []expr.Any{
		network(keyRegister, w.family.dest, w.family.size),
		&expr.Dynset{
			SrcRegKey: keyRegister, SetName: set.Name, SetID: set.ID,
			Operation: unix.NFT_DYNSET_OP_UPDATE, Timeout: set.Timeout, Exprs: run,
		},
	}
}

func (w *writer) isFull() []expr.Any {
	full := w.sets.full
	return []expr.Any{
		network(keyRegister, w.family.dest, w.family.size),
		&expr.Lookup{SourceRegister: keyRegister, SetName: full.Name, SetID: full.ID},
	}
}

// setMark marks the packet with the loaded mark.
func (w *writer) setMark() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: markRegister}}
}
