package bgp

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/server"

	"github.com/routesteer/routesteer/topology"
)

const (
	// patience is how long a new speaker waits for paths of all prefixes before it
	// connects. Routers that keep paths of a former life drop those that are
	// missing at the End-of-RIB.
	patience = 5 * time.Second
)

// A speaker is a BGP speaker with its sessions. routes, announce, confine and
// settle are for one goroutine at a time.
type speaker struct {
	settings *settings
	memory   *memory
	server   *server.BgpServer
	served   chan struct{} // closed when the server's loop has ended
	sessions *sessions
	unwatch  context.CancelFunc
	log      *slog.Logger

	offers  catalogue
	book    map[netip.Prefix][]slot    // what is in the server's table
	leaving map[netip.Prefix]time.Time // of the book, to be withdrawn then: see leaving.go
	sent    <-chan struct{}            // closed when what was announced last has been sent; nil for nothing
	waiting *time.Timer                // until peers are added at the latest
	connect func()                     // adds the peers, once
}

// startSpeaker starts a speaker that announces what its predecessor did, as far
// as the prefixes are still the site's.
func startSpeaker(settings *settings, memory *memory, offers catalogue, log *slog.Logger) (*speaker, error) {
	sessions := newSessions(settings, log)
	logger, level := sessions.logger()
	s := &speaker{
		settings: settings, memory: memory, sessions: sessions, log: log,
		server: server.NewBgpServer(server.LoggerOption(logger, level)),
		served: make(chan struct{}), offers: offers,
		book: map[netip.Prefix][]slot{}, leaving: map[netip.Prefix]time.Time{},
	}
	s.connect = sync.OnceFunc(s.addPeers)
	go func() {
		defer close(s.served)
		s.server.Serve()
	}()
	watching, unwatch := context.WithCancel(context.Background())
	s.unwatch = unwatch
	if err := s.begin(watching); err != nil {
		s.stop(topology.AtExitKeep)
		return nil, fmt.Errorf("start the BGP speaker: %w", err)
	}
	s.waiting = time.AfterFunc(patience, s.connect)
	s.settle()
	return s, nil
}

// begin brings the speaker up to where peers can be added.
func (s *speaker) begin(ctx context.Context) error {
	port := int32(-1)
	if s.settings.listenPort != 0 {
		port = int32(s.settings.listenPort)
	}
	global := &api.Global{Asn: s.settings.asn, RouterId: s.settings.routerID.String(), ListenPort: port}
	if err := s.server.StartBgp(ctx, &api.StartBgpRequest{Global: global}); err != nil {
		return err
	}
	if err := s.allow(ctx); err != nil {
		return err
	}
	if err := s.server.WatchEvent(ctx, server.WatchEventMessageCallbacks{OnPeerUpdate: s.sessions.event}, server.WatchPeer()); err != nil {
		return err
	}
	known := s.memory.load()
	mine := map[netip.Prefix][]target{}
	for p, attributes := range s.offers {
		if hops := known[p]; len(hops) > 0 {
			mine[p] = targets(hops, attributes)
		}
	}
	return s.announce(ctx, mine, nil)
}

// settle adds the peers when there is a path for each prefix.
func (s *speaker) settle() {
	if len(s.book) >= len(s.offers) {
		s.connect()
	}
}

// addPeers begins all sessions.
func (s *speaker) addPeers() {
	for i, peer := range s.settings.peers {
		request := &api.AddPeerRequest{Peer: s.settings.peer(i)}
		if err := s.server.AddPeer(context.Background(), request); err != nil {
			s.log.Error("cannot begin a BGP session", "peer", peer.Address.String(), "err", err)
			s.sessions.fail(peer.Address, err.Error())
		}
	}
}

// confine makes the offers those that may be announced: others are withdrawn, and
// those that carry something else now are announced again, in place.
func (s *speaker) confine(offers catalogue) error {
	change := map[netip.Prefix][]target{}
	for p, slots := range s.book {
		switch attributes := offers[p]; {
		case attributes == nil:
			delete(s.leaving, p)
			change[p] = nil
		case s.leaving[p].IsZero() && slots[0].to.attributes != attributes:
			change[p] = targets(hopsOf(slots), attributes)
		}
	}
	s.offers = offers
	ctx := context.Background()
	if err := s.announce(ctx, change, nil); err != nil {
		return fmt.Errorf("announce the prefixes as the site has them now: %w", err)
	}
	return s.allow(ctx)
}

// stop ends the speaker and its sessions: so that routers keep its paths for the
// restart time, or so that they drop them.
func (s *speaker) stop(how topology.AtExit) {
	if s.waiting != nil {
		s.waiting.Stop()
	}
	if how == topology.AtExitWithdraw {
		s.sayGoodbye()
	}
	s.sessions.silence()
	s.memory.touch()
	keep := how == topology.AtExitKeep && s.settings.restart.Time > 0
	if !keep {
		s.memory.forget()
	}
	if err := s.server.StopBgp(context.Background(), &api.StopBgpRequest{AllowGracefulRestart: keep}); err != nil {
		s.log.Warn("the BGP speaker did not stop in good order", "err", err)
	}
	s.server.Stop() // which ends BFD, too
	<-s.served
	s.unwatch()
}
