package health_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

func TestWitnessesSpeakTogether(t *testing.T) {
	near, far := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")
	b := health.NewBoard(&topology.Site{Policy: topology.Policy{Witness: []netip.Addr{near, far}}})
	start := time.Date(2026, 11, 28, 5, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	for _, step := range []struct {
		what         string
		news         health.Heard
		heard, since time.Time
	}{
		{"one answers", health.Heard{Address: near, Asked: at(0)}, at(0), time.Time{}},
		{"the other, too, after a silence of its own", health.Heard{Address: far, Asked: at(1), Since: at(1)}, at(1), time.Time{}},
		{"an answer comes late", health.Heard{Address: far, Asked: at(0), Since: at(0)}, at(1), time.Time{}},
		{"one has become silent", health.Heard{Address: far, Asked: at(5), Since: at(1)}, at(5), at(1)},
		{"and is back", health.Heard{Address: near, Asked: at(6), Since: at(6)}, at(6), at(1)},
		{"both were cut off", health.Heard{Address: far, Asked: at(20), Since: at(20)}, at(20), at(20)},
	} {
		b.Observe(step.news)
		if heard, since := b.Witness(); !heard.Equal(step.heard) || !since.Equal(step.since) {
			t.Errorf("%s: heard %v since %v, want %v since %v", step.what, heard, since, step.heard, step.since)
		}
	}
	b.SetSite(&topology.Site{Policy: topology.Policy{Witness: []netip.Addr{near}}})
	if heard, _ := b.Witness(); !heard.Equal(at(6)) {
		t.Errorf("of a witness that is none any more: heard %v", heard)
	}
}
