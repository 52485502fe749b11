package bgp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/osrg/gobgp/v4/pkg/server"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

const (
	// patience is how long a new speaker waits for paths of all prefixes before it
	// connects. Routers that keep paths of a former life drop those that are
	// missing at the End-of-RIB.
	patience = 5 * time.Second
	// batch is how many paths are handed over in one call, so that a deadline and
	// the speaker's keepalives come through in between.
	batch = 1000
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

	book    map[netip.Prefix][]steer.NextHop // what is in the server's table
	waiting *time.Timer                      // until peers are added at the latest
	connect func()                           // adds the peers, once
}

// startSpeaker starts a speaker that announces what its predecessor did, as far
// as the prefixes are still the site's.
func startSpeaker(settings *settings, memory *memory, prefixes []netip.Prefix, log *slog.Logger) (*speaker, error) {
	sessions := newSessions(settings, log)
	logger, level := sessions.logger()
	s := &speaker{
		settings: settings, memory: memory, sessions: sessions,
		server: server.NewBgpServer(server.LoggerOption(logger, level)),
		served: make(chan struct{}), book: map[netip.Prefix][]steer.NextHop{},
	}
	s.connect = sync.OnceFunc(func() { s.addPeers(log) })
	go func() {
		defer close(s.served)
		s.server.Serve()
	}()
	watching, unwatch := context.WithCancel(context.Background())
	s.unwatch = unwatch
	if err := s.begin(watching, prefixes); err != nil {
		s.stop(topology.AtExitKeep)
		return nil, fmt.Errorf("start the BGP speaker: %w", err)
	}
	s.waiting = time.AfterFunc(patience, s.connect)
	s.settle(len(prefixes))
	return s, nil
}

// begin brings the speaker up to where peers can be added.
func (s *speaker) begin(ctx context.Context, prefixes []netip.Prefix) error {
	port := int32(-1)
	if s.settings.listenPort != 0 {
		port = int32(s.settings.listenPort)
	}
	global := &api.Global{Asn: s.settings.asn, RouterId: s.settings.routerID.String(), ListenPort: port}
	if err := s.server.StartBgp(ctx, &api.StartBgpRequest{Global: global}); err != nil {
		return err
	}
	if err := s.allow(ctx, prefixes); err != nil {
		return err
	}
	if err := s.server.WatchEvent(ctx, server.WatchEventMessageCallbacks{OnPeerUpdate: s.sessions.event}, server.WatchPeer()); err != nil {
		return err
	}
	known := s.memory.load()
	mine := map[netip.Prefix][]steer.NextHop{}
	for _, p := range prefixes {
		if hops := known[p]; len(hops) > 0 && (len(hops) == 1 || s.settings.multipath) {
			mine[p] = hops
		}
	}
	return s.announce(ctx, mine)
}

// settle adds the peers when there is a path for each of so many prefixes.
func (s *speaker) settle(prefixes int) {
	if len(s.book) >= prefixes {
		s.connect()
	}
}

// addPeers begins all sessions.
func (s *speaker) addPeers(log *slog.Logger) {
	for i, peer := range s.settings.peers {
		request := &api.AddPeerRequest{Peer: s.settings.peer(i)}
		if err := s.server.AddPeer(context.Background(), request); err != nil {
			log.Error("cannot begin a BGP session", "peer", peer.Address.String(), "err", err)
			s.sessions.fail(peer.Address, err.Error())
		}
	}
}

// routes lists the paths in the server's table.
func (s *speaker) routes() ([]steer.Route, error) {
	var routes []steer.Route
	detail := "announced by AS " + fmt.Sprint(s.settings.asn) + s.settings.attributes.words()
	for _, family := range []bgp.Family{bgp.RF_IPv4_UC, bgp.RF_IPv6_UC} {
		request := apiutil.ListPathRequest{TableType: api.TableType_TABLE_TYPE_GLOBAL, Family: family}
		err := s.server.ListPath(request, func(nlri bgp.NLRI, paths []*apiutil.Path) {
			if route, ok := readRoute(nlri, paths); ok {
				route.Detail = detail
				routes = append(routes, route)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return routes, nil
}

// readRoute reads one prefix of the table.
func readRoute(nlri bgp.NLRI, paths []*apiutil.Path) (steer.Route, bool) {
	prefix, is := nlri.(*bgp.IPAddrPrefix)
	if !is {
		return steer.Route{}, false
	}
	route := steer.Route{Prefix: prefix.Prefix}
	for _, path := range paths {
		if hop, ok := readHop(path); ok {
			route.NextHops = append(route.NextHops, hop)
		}
	}
	if len(route.NextHops) == 0 {
		return steer.Route{}, false
	}
	route.NextHops = normal(route.NextHops)
	return route, true
}

// announce makes the table what is wanted for some prefixes, none of which has
// unusable next hops; nil withdraws. All announcements come before any
// withdrawal.
func (s *speaker) announce(ctx context.Context, want map[netip.Prefix][]steer.NextHop) error {
	maker := newPathMaker(s.settings.attributes)
	var added, removed []*apiutil.Path
	for p, hops := range want {
		add, remove, err := maker.difference(p, s.book[p], hops)
		if err != nil {
			return err
		}
		added, removed = append(added, add...), append(removed, remove...)
	}
	if len(added)+len(removed) == 0 {
		return nil
	}
	err := s.exchange(ctx, added, removed)
	if err == nil {
		s.note(want)
	}
	s.memory.save(s.book)
	return err
}

// note records in the book what is in the table now.
func (s *speaker) note(done map[netip.Prefix][]steer.NextHop) {
	for p, hops := range done {
		if len(hops) == 0 {
			delete(s.book, p)
			continue
		}
		s.book[p] = hops
	}
}

// difference is what to announce, and what to withdraw then, for a prefix that
// has some next hops and should have others. Paths are numbered by next hop, in
// order, so that most are replaced in place.
func (m *pathMaker) difference(p netip.Prefix, have, want []steer.NextHop) (add, remove []*apiutil.Path, err error) {
	wasWeighted, weighted := len(have) > 0 && isWeighted(have), len(want) > 0 && isWeighted(want)
	for i, hop := range want {
		if i < len(have) && have[i] == hop && wasWeighted == weighted {
			continue
		}
		path, err := m.path(p, i+1, hop, weighted)
		if err != nil {
			return nil, nil, err
		}
		add = append(add, path)
	}
	for i := len(want); i < len(have); i++ {
		path, err := m.path(p, i+1, have[i], wasWeighted)
		if err != nil {
			return nil, nil, err
		}
		remove = append(remove, path)
	}
	return add, remove, nil
}

// exchange hands paths to the server. It stops half-way only when ctx ends, and
// then reads back what the table has.
func (s *speaker) exchange(ctx context.Context, added, removed []*apiutil.Path) error {
	err := inBatches(ctx, added, func(paths []*apiutil.Path) error {
		_, err := s.server.AddPath(apiutil.AddPathRequest{Paths: paths})
		return err
	})
	if err == nil {
		err = inBatches(ctx, removed, func(paths []*apiutil.Path) error {
			return s.server.DeletePath(apiutil.DeletePathRequest{Paths: paths})
		})
	}
	if err != nil {
		return errors.Join(err, s.reread())
	}
	return nil
}

func inBatches(ctx context.Context, paths []*apiutil.Path, do func([]*apiutil.Path) error) error {
	for len(paths) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(len(paths), batch)
		if err := do(paths[:n]); err != nil {
			return err
		}
		paths = paths[n:]
	}
	return nil
}

// reread makes the book equal the table.
func (s *speaker) reread() error {
	routes, err := s.routes()
	if err != nil {
		return err
	}
	clear(s.book)
	for _, route := range routes {
		s.book[route.Prefix] = route.NextHops
	}
	return nil
}

// confine makes the prefixes those that may be announced, and withdraws others.
func (s *speaker) confine(prefixes []netip.Prefix) error {
	stay := make(map[netip.Prefix]bool, len(prefixes))
	for _, p := range prefixes {
		stay[p] = true
	}
	gone := map[netip.Prefix][]steer.NextHop{}
	for p := range s.book {
		if !stay[p] {
			gone[p] = nil
		}
	}
	ctx := context.Background()
	if err := s.announce(ctx, gone); err != nil {
		return fmt.Errorf("withdraw prefixes that are the site's no more: %w", err)
	}
	return s.allow(ctx, prefixes)
}

// stop ends the speaker and its sessions: so that routers keep its paths for the
// restart time, or so that they drop them.
func (s *speaker) stop(how topology.AtExit) {
	if s.waiting != nil {
		s.waiting.Stop()
	}
	s.sessions.silence()
	s.memory.touch()
	keep := how == topology.AtExitKeep && s.settings.restart.Time > 0
	if !keep {
		s.memory.forget()
	}
	// It fails only if it was never started, and then there is nothing to stop.
	_ = s.server.StopBgp(context.Background(), &api.StopBgpRequest{AllowGracefulRestart: keep})
	s.server.Stop() // which ends BFD, too
	<-s.served
	s.unwatch()
}
