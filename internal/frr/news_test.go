package frr

import (
	"fmt"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"

	"github.com/routesteer/routesteer/internal/netns"
)

// news is what the kernel tells of routes.
type news struct {
	updates chan netlink.RouteUpdate
}

func subscribe(t *testing.T, ns *netns.Namespace) news {
	t.Helper()
	n := news{updates: make(chan netlink.RouteUpdate)}
	done, handle := make(chan struct{}), vnetns.NsHandle(ns.Fd())
	if err := netlink.RouteSubscribeWithOptions(n.updates, done, netlink.RouteSubscribeOptions{Namespace: &handle}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(done)
		for range n.updates {
		}
	})
	return n
}

// await waits for a route to come, as "PREFIX via ADDRESS".
func (n news) await(t *testing.T, want string) {
	t.Helper()
	for {
		select {
		case u := <-n.updates:
			if fmt.Sprintf("%s via %s", u.Dst, u.Gw) == want {
				return
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("no news of the route %s", want)
		}
	}
}
