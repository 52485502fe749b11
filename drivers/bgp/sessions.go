package bgp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/topology"
)

// sessions is what is known of each peer's session. Its methods may be called
// by several goroutines.
type sessions struct {
	settings *settings
	log      *slog.Logger
	changed  chan struct{} // receives when one has come up or ended
	gate     gate

	mu     sync.Mutex
	of     map[netip.Addr]*session
	silent bool // the speaker ends: nothing is news any more
	awaits *expectation
}

// A session is one peer's.
type session struct {
	peer     topology.Peer
	password bool
	state    bgp.FSMState
	since    time.Time // established, or not
	trouble  string    // why it is not established, or ended last; "" for nothing known
	notified bool      // trouble is what a NOTIFICATION says, which explains all that follows
	failed   string    // why it could not be established since trouble was notified; "" for nothing known
	agreed   agreement // while it is established
}

// An agreement is what the router's OPEN said it can do.
type agreement struct {
	families []bgp.Family
	addPath  []bgp.Family // families of which it takes several paths
	restarts bool         // it knows graceful restart
	keeps    bool         // it keeps routes of who is away beyond that (RFC 9494)
}

func newSessions(settings *settings, log *slog.Logger) *sessions {
	s := &sessions{settings: settings, log: log, changed: make(chan struct{}, 1), of: map[netip.Addr]*session{}}
	for i, peer := range settings.peers {
		s.of[peer.Address] = &session{peer: peer, password: settings.passwords[i] != "", state: bgp.BGP_FSM_IDLE, since: time.Now()}
	}
	return s
}

// event takes a session's change of state.
func (s *sessions) event(e *apiutil.WatchEventMessage_PeerEvent, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session := s.of[e.Peer.State.NeighborAddress]
	if session == nil || s.silent || e.Type == apiutil.PEER_EVENT_END_OF_INIT {
		return
	}
	was, is := session.state == bgp.BGP_FSM_ESTABLISHED, e.Peer.State.SessionState == bgp.BGP_FSM_ESTABLISHED
	session.state = e.Peer.State.SessionState
	if trouble := troubleOf(e.Peer.State, session.peer); trouble != "" && !is && !session.notified {
		session.trouble = trouble
	}
	switch {
	case is && !was:
		session.since, session.trouble, session.notified, session.failed, session.agreed = at, "", false, "", agreementOf(e.Peer.State)
		s.log.Info("BGP session established", "peer", session.peer.Address.String(), "agreed", session.terms())
	case was && !is:
		session.since, session.agreed = at, agreement{}
		s.awaits.fulfil(session.peer.Address)
		s.log.Warn("BGP session lost", "peer", session.peer.Address.String(), "err", session.trouble)
	}
	if was != is {
		s.signal()
	}
}

// signal leaves at most one receive to be had.
func (s *sessions) signal() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// fail notes why a session cannot be established.
func (s *sessions) fail(peer netip.Addr, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session := s.of[peer]
	switch {
	case session == nil || session.state == bgp.BGP_FSM_ESTABLISHED:
	case session.notified: // a router that has shut the session down refuses connections
		session.failed = session.explain(why)
	default:
		session.trouble = session.explain(why)
	}
}

// notified notes a NOTIFICATION, by which a session ends.
func (s *sessions) notified(peer netip.Addr, words string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session := s.of[peer]; session != nil {
		if strings.Contains(words, "bad peer as") {
			words += fmt.Sprintf("; the file says that the router is of AS %d and we are of AS %d", session.peer.ASN, s.settings.asn)
		}
		session.trouble, session.notified, session.failed = words, true, ""
	}
}

// silence ends the news: what follows is our own doing.
func (s *sessions) silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = true
}

// explain adds what an operator can do about a failed attempt to connect.
func (s *session) explain(why string) string {
	why = strings.TrimSpace(why[strings.LastIndex(why, "->")+1:])
	switch {
	case s.password && strings.Contains(why, "timeout"):
		return fmt.Sprintf("no answer from port %d: is the router reachable, and has it the same TCP MD5 password? Packets signed with another one are dropped silently (RFC 2385)", s.peer.Port)
	case strings.Contains(why, "timeout"):
		return fmt.Sprintf("no answer from port %d: is the router reachable, does it want a TCP MD5 password, is it farther away than multihop or ttl_security allow?", s.peer.Port)
	case strings.Contains(why, "refused"):
		return fmt.Sprintf("connection to port %d refused: does a BGP speaker run on the router, and listen on %s?", s.peer.Port, s.peer.Address)
	default:
		return why
	}
}

// troubleOf says in words why a session is not established; "" when the change
// of state is an ordinary step. What NOTIFICATIONs say is known otherwise.
func troubleOf(state apiutil.PeerState, peer topology.Peer) string {
	switch state.DisconnectReason {
	case api.PeerState_DISCONNECT_REASON_HOLD_TIMER_EXPIRED:
		return "nothing was heard from the router for the hold time"
	case api.PeerState_DISCONNECT_REASON_READ_FAILED, api.PeerState_DISCONNECT_REASON_WRITE_FAILED:
		return "the connection broke"
	case api.PeerState_DISCONNECT_REASON_GRACEFUL_RESTART:
		return "the connection broke, or the router restarts"
	case api.PeerState_DISCONNECT_REASON_RESTART_TIMER_EXPIRED:
		return "the router has not come back from its restart in the time it asked for"
	case api.PeerState_DISCONNECT_REASON_BAD_PEER_AS:
		return fmt.Sprintf("the router is not of AS %d, as the file says", peer.ASN)
	case api.PeerState_DISCONNECT_REASON_INVALID_MSG:
		return "the router sent a malformed message"
	case api.PeerState_DISCONNECT_REASON_HARD_RESET:
		return "the session was reset"
	default:
		return ""
	}
}

// why says why a session is not established.
func (s *session) why() string {
	switch {
	case s.failed != "":
		return s.trouble + "; since then: " + s.failed
	case s.trouble != "":
		return s.trouble
	case s.state == bgp.BGP_FSM_OPENSENT || s.state == bgp.BGP_FSM_OPENCONFIRM:
		return "connected, and waiting for the router's answer; if that lasts, does it drop our packets: is ttl_security set on both sides?"
	case s.state == bgp.BGP_FSM_ACTIVE && s.peer.Passive:
		return "waiting for the router to connect"
	default:
		return ""
	}
}

// agreementOf reads the router's capabilities.
func agreementOf(state apiutil.PeerState) agreement {
	var a agreement
	for _, capability := range state.RemoteCap {
		switch c := capability.(type) {
		case *bgp.CapMultiProtocol:
			a.families = append(a.families, c.CapValue)
		case *bgp.CapAddPath:
			for _, tuple := range c.Tuples {
				if tuple.Mode&bgp.BGP_ADD_PATH_RECEIVE != 0 {
					a.addPath = append(a.addPath, tuple.Family)
				}
			}
		case *bgp.CapGracefulRestart:
			a.restarts = true
		case *bgp.CapLongLivedGracefulRestart:
			a.keeps = len(c.Tuples) > 0
		}
	}
	if len(a.families) == 0 {
		a.families = []bgp.Family{bgp.RF_IPv4_UC} // a router without RFC 4760
	}
	return a
}

// terms writes what was agreed on.
func (s *session) terms() string {
	words := []string{fmt.Sprintf("AS %d", s.peer.ASN)}
	for _, f := range s.agreed.families {
		if slices.Contains(families(s.peer), f) {
			words = append(words, familyName(f))
		}
	}
	if s.agreed.restarts {
		words = append(words, "graceful restart")
	}
	if len(s.agreed.addPath) > 0 {
		words = append(words, "add-path")
	}
	return strings.Join(words, ", ")
}

func familyName(f bgp.Family) string {
	if f == bgp.RF_IPv6_UC {
		return "IPv6"
	}
	return "IPv4"
}

// known is a copy of what is known of each session.
func (s *sessions) known() map[netip.Addr]*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := make(map[netip.Addr]*session, len(s.of))
	for address, session := range s.of {
		now := *session
		known[address] = &now
	}
	return known
}

// info tells of the sessions, and of what operators should look at.
func (s *speaker) info() drivers.Info {
	known := s.sessions.known()
	numbers := s.numbers() // asked for afterwards: those of a session that is established are there
	var (
		info drivers.Info
		down []string
	)
	for _, peer := range s.settings.peers { // sorted
		session := known[peer.Address]
		told := drivers.Session{Peer: peer.Address.String(), State: stateName(session.state), Since: session.since, Detail: session.why()}
		if told.Well = session.state == bgp.BGP_FSM_ESTABLISHED; told.Well {
			told.Detail = session.terms() + s.announced(session) + numbers[peer.Address].words()
			info.Problems = append(info.Problems, s.problems(session, numbers[peer.Address])...)
		} else {
			down = append(down, peer.Address.String()+" ("+stateName(session.state)+because(session.why())+")")
		}
		info.Sessions = append(info.Sessions, told)
	}
	switch {
	case len(down) == len(s.settings.peers):
		info.Down = errors.New("no BGP session is established, nothing is announced: " + strings.Join(down, "; "))
	case len(down) > 0:
		info.Problems = append(info.Problems, "not all BGP sessions are established, routes are confirmed of the others alone: "+strings.Join(down, "; "))
	}
	return info
}

func because(trouble string) string {
	if trouble == "" {
		return ""
	}
	return ": " + trouble
}

func stateName(state bgp.FSMState) string {
	return strings.ToLower(strings.TrimPrefix(state.String(), "BGP_FSM_"))
}

// anyEstablished reports whether any router hears us.
func (s *sessions) anyEstablished() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, session := range s.of {
		if session.state == bgp.BGP_FSM_ESTABLISHED {
			return true
		}
	}
	return false
}

// takesAddPath reports whether any router takes several paths of a prefix of
// the family.
func (s *sessions) takesAddPath(f bgp.Family) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, session := range s.of {
		if session.agreed.takesSeveral(f) {
			return true
		}
	}
	return false
}

func (a agreement) takesSeveral(f bgp.Family) bool { return slices.Contains(a.addPath, f) }

// announced counts what the session's router was sent.
func (s *speaker) announced(session *session) string {
	n, leaving := 0, 0
	for p := range s.book {
		if !slices.Contains(session.agreed.families, familyOf(p)) {
			continue
		}
		n++
		if !s.leaving[p].IsZero() {
			leaving++
		}
	}
	if leaving > 0 {
		return fmt.Sprintf(", %d prefixes announced, %d of them about to be withdrawn (GRACEFUL_SHUTDOWN)", n, leaving)
	}
	return fmt.Sprintf(", %d prefixes announced", n)
}

// problems are what is not as it could be with an established session.
func (s *speaker) problems(session *session, n numbers) []string {
	var problems []string
	add := func(format string, args ...any) {
		problems = append(problems, "peer "+session.peer.Address.String()+" "+fmt.Sprintf(format, args...))
	}
	wanted, several := s.kinds()
	for _, f := range families(session.peer) {
		if wanted[f] > 0 && !slices.Contains(session.agreed.families, f) {
			add("has not agreed on %s: %d prefixes are not announced to it", familyName(f), wanted[f])
		}
		if several[f] > 0 && !session.agreed.takesSeveral(f) {
			add("takes no add-path (RFC 7911) for %s: %d prefixes of several next hops reach it with one", familyName(f), several[f])
		}
	}
	if s.settings.restart.Time > 0 && !session.agreed.restarts {
		add("knows no graceful restart (RFC 4724): it drops our routes when this process ends")
	}
	if s.settings.restart.LongLived > 0 && !session.agreed.keeps {
		add("does no long-lived graceful restart (RFC 9494): it drops our routes when this process is away for longer than %s", s.settings.restart.Time)
	}
	if n.received > 0 {
		add("announces %d prefixes to us, none of which is used: let it announce nothing", n.received)
	}
	return problems
}

// kinds counts the prefixes in the table by family, and of them those of
// several next hops.
func (s *speaker) kinds() (all, several map[bgp.Family]int) {
	all, several = map[bgp.Family]int{}, map[bgp.Family]int{}
	for p, slots := range s.book {
		all[familyOf(p)]++
		if len(slots) > 1 {
			several[familyOf(p)]++
		}
	}
	return all, several
}

// numbers are what the server counts of a session.
type numbers struct {
	hold     uint64 // agreed on, in seconds
	received uint64 // prefixes
}

func (n numbers) words() string {
	if n.hold == 0 {
		return ""
	}
	return fmt.Sprintf(", hold time %ds", n.hold)
}

func (s *speaker) numbers() map[netip.Addr]numbers {
	all := map[netip.Addr]numbers{}
	err := s.server.ListPeer(context.Background(), &api.ListPeerRequest{}, func(p *api.Peer) {
		address, err := netip.ParseAddr(p.GetConf().GetNeighborAddress())
		if err != nil {
			return
		}
		n := numbers{hold: p.GetTimers().GetState().GetNegotiatedHoldTime()}
		for _, family := range p.GetAfiSafis() {
			n.received += family.GetState().GetReceived()
		}
		all[address] = n
	})
	if err != nil {
		return nil // the speaker has ended: there is nothing to count
	}
	return all
}
