// Package flows keeps established connections on the servers they are at when
// a Linux router's route is moved on purpose, and sends all new ones to where
// the route goes now. No connection needs to have been tracked before.
//
// While a prefix is in transition, and only then, an nftables table of our own
// looks at its packets, before routing:
//
//	TCP SYN                      ─► noted as a flow, goes to the new next hops
//	TCP of a noted flow          ─► goes where the flow was noted to go
//	any other TCP                ─► existed before: goes to the old next hops, and is noted
//	ICMP error about one of them ─► goes where its flow goes (path MTU discovery)
//	everything else              ─► follows the route; or, with sticky UDP, see below
//
// "Goes to" is a firewall mark, a policy rule for it, and a routing table with
// one route. Old and new flows are both marked, so that the table may be loaded
// before the route is changed: which of the two a packet meets first makes no
// difference. Replies need not pass the router.
//
// The kernel keeps all state: which prefixes are in transition, since when and
// until when (elements with a timeout: a transition ends in time although no
// controller runs any more), where their flows go, and the flows. A controller
// that is killed and started again finds it.
//
// Numbers that are ours: routing tables 51000 to 51999, policy rules of
// priorities 5099 to 5101 with marks 0x5253f000 to 0x5253f3e7, and the nftables tables
// "routesteer" of the families ip and ip6.
//
// # Limits
//
//   - All packets of a connection from client to server must pass this router.
//   - A flow takes about 200 bytes of kernel memory (IPv4; IPv6 260), and
//     Options.Limit bounds their number. Past it, connections are no longer noted:
//     a connection made then may be cut by its next packet, goes by the route
//     from there on, and is counted in Transition.Overflow.
//   - A connection that is silent for longer than Options.Timeout and a minute
//     is forgotten; if it was new, it is cut.
//   - Marks are not looked at by VRFs and by policy rules before 5099 that name an
//     incoming interface: connections are cut there.
//   - TCP in IP fragments, but for the first, which has the ports, goes to the old
//     next hops.
//   - UDP knows no beginning. By default it follows the route at once. With
//     Options.StickyUDP, a flow that sends within the first learnFor after the move
//     stays where it was until it is silent for udpSilence.
//
// See nft(8), ip-rule(8).
package flows

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/steer"
)

// Options say how transitions are made.
type Options struct {
	Timeout   time.Duration // a transition ends after it; more than 0
	Idle      time.Duration // a flow that has been silent so long counts as ended; more than 0
	StickyUDP bool          // UDP flows stay as well
	Limit     int           // most flows noted, for each family; more than 0
	Protocol  uint8         // marks our rules and routes
}

// A Keeper keeps flows in one network namespace. One goroutine uses it at a
// time. It needs CAP_NET_ADMIN.
type Keeper struct {
	options Options
	log     *slog.Logger
	nl      *netlink.Handle
	halves  []*half // IPv4, IPv6
	ways    *ways
	dumper  *dumper
}

// A Move is what one prefix's route is about to do.
type Move struct {
	Prefix   netip.Prefix
	From, To []steer.NextHop // sorted, as steer keeps them; neither is empty
}

// Open finds the transitions that are under way in the network namespace of
// the file descriptor ns, or with a negative one in the calling thread's. An
// error says that flows cannot be kept here, and why; nothing was changed.
func Open(ns int, options Options, log *slog.Logger) (*Keeper, error) {
	k := &Keeper{options: options, log: log}
	if err := k.open(ns); err != nil {
		return nil, fmt.Errorf("keep connections by nftables: %w", errors.Join(hint(err), k.Close()))
	}
	return k, nil
}

func (k *Keeper) open(ns int) error {
	if err := checkReverse(ns); err != nil {
		return err
	}
	if err := k.connect(ns); err != nil {
		return err
	}
	return k.find()
}

func (k *Keeper) connect(ns int) error {
	var err error
	at := []nftables.ConnOption{nftables.AsLasting(), nftables.WithSockOptions(roomy)}
	if ns >= 0 {
		at = append(at, nftables.WithNetNSFd(ns))
		k.nl, err = netlink.NewHandleAt(netns.NsHandle(ns), unix.NETLINK_ROUTE)
	} else {
		k.nl, err = netlink.NewHandle(unix.NETLINK_ROUTE)
	}
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	k.ways = newWays(k.nl, k.options.Protocol)
	for _, family := range []*family{ipv4, ipv6} {
		conn, err := nftables.New(at...)
		if err != nil {
			return fmt.Errorf("open nftables: %w", err)
		}
		k.halves = append(k.halves, newHalf(conn, family, k.options))
	}
	k.dumper, err = openDumper(ns)
	return err
}

// find takes over what a predecessor left, and removes what it left behind.
func (k *Keeper) find() error {
	if err := k.ways.load(); err != nil {
		return err
	}
	for _, h := range k.halves {
		if err := h.find(); err != nil {
			return err
		}
	}
	return k.tidy()
}

// Begin puts the moves' prefixes in transition, or, if they are, on to their
// next step: connections that exist stay where they are from here on, new ones
// go to To. It is called before the routes are changed. On an error nothing has
// changed for any prefix of the same family, and the routes may be moved all
// the same; connections are cut then.
func (k *Keeper) Begin(moves []Move) error {
	return k.each(moves, func(h *half, moves []Move) error {
		if err := k.forget(h, fresh(moves, h.under)); err != nil {
			return err
		}
		return k.take(func() []Move { return moves }, h, h.begin)
	})
}

// take gives the moves to do as steps, once more if something has expired
// meanwhile.
func (k *Keeper) take(moves func() []Move, h *half, do func([]step) error) error {
	for try := 1; ; try++ {
		steps, err := k.steps(moves(), h.under)
		if err != nil {
			return err
		}
		if err = do(steps); try == 2 || !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
}

// Redirect makes new connections of prefixes that are in transition go to To,
// whatever they are; it leaves others alone. It is for moves that are not to
// keep anything, and is called before the routes are changed.
func (k *Keeper) Redirect(moves []Move) error {
	return k.each(moves, func(h *half, moves []Move) error {
		mine := func() []Move {
			return slices.DeleteFunc(slices.Clone(moves), func(m Move) bool { _, is := h.under[m.Prefix]; return !is })
		}
		return k.take(mine, h, h.redirect)
	})
}

// Active reports whether anything may be in transition.
func (k *Keeper) Active() bool {
	return slices.ContainsFunc(k.halves, func(h *half) bool { return h.loaded })
}

// each calls f for the moves of each family, if there are any.
func (k *Keeper) each(moves []Move, f func(*half, []Move) error) error {
	var failed []error
	for _, h := range k.halves {
		mine := slices.DeleteFunc(slices.Clone(moves), func(m Move) bool { return !h.family.has(m.Prefix) })
		if len(mine) > 0 {
			failed = append(failed, f(h, mine))
		}
	}
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("keep connections by nftables: %w", hint(err))
	}
	return nil
}

// A step is a move in marks.
type step struct {
	prefix     netip.Prefix
	was        element // of the transition that is under way; zero if none is
	base, from uint32  // where flows that nobody has noted go; where the route went until now
	next       uint32  // where new flows go
}

func (k *Keeper) steps(moves []Move, under map[netip.Prefix]element) ([]step, error) {
	if len(moves) == 0 {
		return nil, nil
	}
	steps := make([]step, 0, len(moves))
	for _, m := range moves {
		next, err := k.ways.to(m.Prefix, m.To)
		if err != nil {
			return nil, err
		}
		s := step{prefix: m.Prefix, next: next}
		if was, is := under[m.Prefix]; is {
			s.was, s.base, s.from = was, was.base, was.next
		} else if s.base, err = k.ways.to(m.Prefix, m.From); err != nil {
			return nil, err
		} else {
			s.from = s.base
		}
		steps = append(steps, s)
	}
	return steps, k.renew(steps)
}

// renew makes sure of the ways that new flows will take, and of those that
// begin to be needed. Others may be behind a link that is away, which is no
// reason not to move.
func (k *Keeper) renew(steps []step) error {
	renewed := map[uint32]bool{}
	for _, s := range steps {
		needed := []uint32{s.next}
		if s.was.next == 0 {
			needed = append(needed, s.base)
		}
		for _, mark := range needed {
			if renewed[mark] {
				continue
			}
			renewed[mark] = true
			if err := k.ways.renew(mark); err != nil {
				return err
			}
		}
	}
	return nil
}

// fresh are the prefixes that are not in transition yet.
func fresh(moves []Move, under map[netip.Prefix]element) []netip.Prefix {
	var fresh []netip.Prefix
	for _, m := range moves {
		if _, is := under[m.Prefix]; !is {
			fresh = append(fresh, m.Prefix)
		}
	}
	return fresh
}

// Close leaves all transitions as they are: connections outlive the
// controller.
func (k *Keeper) Close() error {
	var failed []error
	for _, h := range k.halves {
		failed = append(failed, h.conn.CloseLasting())
	}
	if k.dumper != nil {
		failed = append(failed, k.dumper.close())
	}
	if k.nl != nil {
		k.nl.Close()
	}
	k.halves, k.dumper, k.nl = nil, nil, nil
	return errors.Join(failed...)
}

// hint adds what an operator can do.
func hint(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w; it needs CAP_NET_ADMIN", err)
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EAFNOSUPPORT):
		return fmt.Errorf("%w; this kernel lacks nf_tables: modprobe nf_tables", err)
	default:
		return err
	}
}
