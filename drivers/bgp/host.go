package bgp

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/internal/secret"
	"github.com/routesteer/routesteer/topology"
)

// lease is how long a speaker is kept though no driver uses it. A reload needs
// a moment of it; a router that is in the file no more loses its speaker after
// it.
const lease = 30 * time.Second

// A Host keeps the speaker of a site's BGP router while drivers come and go, so
// that sessions outlive reloads. Its methods may be called by several
// goroutines.
type Host struct {
	directory string // of memories
	log       *slog.Logger

	mu      sync.Mutex
	speaker *speaker // nil if none runs
	used    bool     // a driver has it
	expiry  *time.Timer
}

// NewHost returns a Host without a speaker. What speakers must remember across
// restarts of the process is kept in files of the directory, which exists.
func NewHost(directory string, log *slog.Logger) *Host {
	return &Host{directory: directory, log: log}
}

// Open returns a driver for the VIPs. A running speaker with the same settings
// goes on, whatever its VIPs and their attributes were; one with others ends
// first, as for a restart. The former driver is closed before.
func (h *Host) Open(router topology.Router, vips []topology.VIP) (*Driver, error) {
	settings, err := newSettings(router)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold()
	if h.speaker != nil && !reflect.DeepEqual(h.speaker.settings, settings) {
		h.speaker.stop(topology.AtExitKeep)
		h.speaker = nil
	}
	if h.speaker == nil {
		memory := newMemory(filepath.Join(h.directory, "bgp-"+string(router.Name)+".json"), settings.restart, h.log)
		if h.speaker, err = startSpeaker(settings, memory, newCatalogue(router.BGP, vips, nil), h.log); err != nil {
			return nil, err
		}
	} else if err := h.speaker.confine(newCatalogue(router.BGP, vips, h.speaker.offers)); err != nil {
		return nil, err
	}
	h.used = true
	return &Driver{host: h, speaker: h.speaker}, nil
}

// hold ends the lease's clock. h.mu is held.
func (h *Host) hold() {
	if h.expiry != nil {
		h.expiry.Stop()
		h.expiry = nil
	}
}

// release starts the lease of a speaker that no driver uses any more.
func (h *Host) release(s *speaker) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.speaker != s {
		return
	}
	h.used = false
	h.hold()
	h.expiry = time.AfterFunc(lease, h.expire)
}

// expire ends a speaker that nobody has used for the lease.
func (h *Host) expire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.used || h.speaker == nil {
		return
	}
	h.speaker.stop(h.speaker.settings.atExit)
	h.speaker = nil
}

// Close ends the speaker as at_exit says: routers keep its routes for the
// restart time, or drop them at once. It is called once, before the process ends.
func (h *Host) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold()
	if h.speaker != nil {
		h.speaker.stop(h.speaker.settings.atExit)
		h.speaker = nil
	}
}

// settings are all that a speaker is started with: another value needs another
// speaker.
type settings struct {
	asn        uint32
	routerID   netip.Addr
	listenPort uint16 // 0: nothing listens
	peers      []topology.Peer
	passwords  []string // of the peers, "" for none
	restart    topology.Restart
	atExit     topology.AtExit
	shutdown   time.Duration // of GRACEFUL_SHUTDOWN before a withdrawal
}

// newSettings reads the secrets besides.
func newSettings(router topology.Router) (*settings, error) {
	cfg := router.BGP
	s := &settings{
		asn: cfg.ASN, routerID: cfg.RouterID, peers: cfg.Peers,
		restart: cfg.Restart, atExit: cfg.AtExit, shutdown: cfg.GracefulShutdown,
	}
	for _, peer := range cfg.Peers {
		password, err := secret.Read(peer.Password)
		if err != nil {
			return nil, &peerError{peer.Address, err}
		}
		s.passwords = append(s.passwords, password)
		if peer.Passive {
			s.listenPort = cfg.ListenPort
		}
	}
	return s, nil
}

// A peerError says which peer an error is about.
type peerError struct {
	peer netip.Addr
	err  error
}

func (e *peerError) Error() string { return "peer " + e.peer.String() + ": " + e.err.Error() }

func (e *peerError) Unwrap() error { return e.err }

var (
	_ drivers.Driver   = (*Driver)(nil)
	_ drivers.Renderer = (*Driver)(nil)
	_ drivers.Watcher  = (*Driver)(nil)
	_ drivers.Informer = (*Driver)(nil)
)
