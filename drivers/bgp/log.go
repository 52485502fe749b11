package bgp

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// logger is a logger for the server, of which three things are of use that it
// tells nobody otherwise: why an attempt to connect failed, which UPDATEs have
// been sent, and what it warns of.
func (s *sessions) logger() (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(slog.LevelDebug)
	return slog.New(&listener{sessions: s}), level
}

// A listener is a slog.Handler that hears what the server logs.
type listener struct {
	sessions *sessions
	peer     netip.Addr // of the logger; zero for the server's own
}

// What the server logs, below warnings, of an attempt to connect, of an UPDATE
// that was written to the connection, and of NOTIFICATIONs.
const (
	failedToConnect = "failed to connect"
	sentUpdate      = "sent update"
	wasTold         = "received notification"
	hasTold         = "sent notification"
)

func (*listener) Enabled(_ context.Context, _ slog.Level) bool { return true }

func (l *listener) Handle(ctx context.Context, record slog.Record) error {
	switch record.Message {
	case sentUpdate:
		l.sent(record)
		return nil
	case wasTold, hasTold:
		l.notified(record)
		return nil
	case failedToConnect:
	default:
		if record.Level < slog.LevelWarn {
			return nil
		}
	}
	peer, why := l.peer, ""
	record.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "Key", "key":
			if address, err := netip.ParseAddr(a.Value.String()); err == nil {
				peer = address
			}
		case "Error", "Err", "error":
			why = a.Value.String()
		}
		return true
	})
	if record.Message == failedToConnect {
		l.sessions.fail(peer, why)
		return nil
	}
	l.sessions.warn(ctx, record, peer, why)
	return nil
}

// sent takes note of an UPDATE that was sent.
func (l *listener) sent(record slog.Record) {
	var sent update
	record.Attrs(func(a slog.Attr) bool {
		switch value := a.Value.Any().(type) {
		case []bgp.PathAttributeInterface:
			sent.attributes = value
		case []bgp.PathNLRI:
			if a.Key == "nlri" {
				sent.prefixes = value
			}
		}
		return true
	})
	l.sessions.arrived(l.peer, sent)
	l.sessions.gate.pass()
}

// notified takes note of a NOTIFICATION. The server's own account of why a
// session ended leaves it out where graceful restart was agreed on, and in OPEN.
func (l *listener) notified(record slog.Record) {
	var (
		code, subcode int64
		words         string
	)
	record.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "Code":
			code = a.Value.Int64()
		case "Subcode":
			subcode = a.Value.Int64()
		case "Communicated-Reason":
			words = a.Value.String()
		}
		return true
	})
	text := "the router ended the session: "
	if record.Message == hasTold {
		text = "we ended the session: "
	}
	text += notification(uint8(code), uint8(subcode))
	if words != "" {
		text += fmt.Sprintf(" (%.128q)", words) // the router's administrator: RFC 9003
	}
	l.sessions.notified(l.peer, text)
}

// notification is a NOTIFICATION's code and subcode in words: RFC 4271, section
// 4.5.
func notification(code, subcode uint8) string {
	var words []string
	for _, part := range strings.Split(bgp.NewNotificationErrorCode(code, subcode).String(), "(")[1:] {
		if word, _, _ := strings.Cut(part, ")"); word != "undefined" {
			words = append(words, word)
		}
	}
	return strings.TrimSpace(fmt.Sprintf("NOTIFICATION %d/%d %s", code, subcode, strings.Join(words, ", ")))
}

// warn passes a warning on. The server logs no secrets; messages of peers are
// left out, because their size is the peer's choice.
func (s *sessions) warn(ctx context.Context, record slog.Record, peer netip.Addr, why string) {
	s.mu.Lock()
	silent := s.silent
	s.mu.Unlock()
	if silent {
		return
	}
	args := []any{"reason", record.Message}
	if peer.IsValid() {
		args = append(args, "peer", peer.String())
	}
	if why != "" {
		args = append(args, "err", why)
	}
	s.log.Log(ctx, min(record.Level, slog.LevelWarn), "BGP speaker", args...)
}

func (l *listener) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *l
	for _, a := range attrs {
		if address, err := netip.ParseAddr(a.Value.String()); err == nil && (a.Key == "Key" || a.Key == "key") {
			with.peer = address
		}
	}
	return &with
}

func (l *listener) WithGroup(string) slog.Handler { return l }
