package lab

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
)

// repairedWithin is how soon after a link's return the traffic must be back: a
// second for the routes, and two for the kernel, which goes on looking for a
// neighbour that it missed meanwhile only once a second (retrans_time_ms), and
// may miss the first answer.
const repairedWithin = 3 * time.Second

// With the carrier the kernel takes away more than it says, and with a device
// all routes over it; nobody but the controller brings them back.
func TestTrafficIsBackSoonAfterTheRoutersLink(t *testing.T) {
	for _, c := range []struct {
		name        string
		take, bring func(*Lab) error
	}{
		{"carrier lost and back",
			func(l *Lab) error { return l.network.lan.down("router") },
			func(l *Lab) error { return l.network.lan.up("router") }},
		{"device removed and made anew",
			func(l *Lab) error { return l.network.router.unmake(lanPort) },
			func(l *Lab) error { return l.network.wireRouter(l.Site) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			families(t, func(t *testing.T, family Family) {
				t.Parallel()
				testLink(t, family, c.take, c.bring)
			})
		})
	}
}

func testLink(t *testing.T, family Family, take, bring func(*Lab) error) {
	l := start(t, steered(Options{Family: family, Profile: Fast}))
	if err := l.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	load, err := l.StartLoad(t.Context(), lightLoad())
	if err != nil {
		t.Fatal(err)
	}
	if err := take(l); err != nil {
		t.Fatal(err)
	}
	await(t, "all servers to be found down", func() bool { return allDown(t, l) })
	back := load.Open()
	if err := bring(l); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patient)
	defer cancel()
	if err := back.Quiet(ctx, quietTime); err != nil {
		t.Fatalf("%v: %s", err, back.Now())
	}
	got, err := back.CloseDecided(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("since the link is back: %s; %d late", got, got.Late)
	if busy := got.Late*100 > got.Requests+got.Packets; !got.Recovered || got.Outage > repairedWithin && !busy {
		t.Errorf("got %s, want traffic back within %s", got, repairedWithin)
	}
}

func allDown(t *testing.T, l *Lab) bool {
	t.Helper()
	status, err := l.Operator.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return !slices.ContainsFunc(status.Servers, func(s api.Server) bool { return s.Health != "down" })
}

// unmake removes a device, and with it all that the kernel knew of it.
func (h *host) unmake(name string) error {
	link, err := h.link(name)
	if err != nil {
		return err
	}
	return h.nl.LinkDel(link)
}
