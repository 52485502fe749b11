package bgp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"
)

// arrivals begins to listen to the news of the router's kernel. What it returns
// waits until every prefix has gone to the next hop, and tells when the last did.
func (r *router) arrivals(prefixes []netip.Prefix, hop netip.Addr) (wait func() time.Time) {
	r.t.Helper()
	news, done := make(chan netlink.RouteUpdate, 1<<16), make(chan struct{})
	ns := vnetns.NsHandle(r.kernel.Fd())
	err := netlink.RouteSubscribeWithOptions(news, done, netlink.RouteSubscribeOptions{
		Namespace: &ns, ReceiveBufferSize: 64 << 20, ReceiveBufferForceSize: true,
		ErrorCallback: func(err error) {
			select {
			case <-done: // by which it ends
			default:
				r.t.Errorf("news of the kernel: %v", err)
			}
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	missing := make(map[netip.Prefix]bool, len(prefixes))
	for _, p := range prefixes {
		missing[p] = true
	}
	last, ended := make(chan time.Time, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for update := range news {
			p, ok := prefixOf(update.Dst)
			if !ok || !missing[p] || !slices.Contains(gateways(update.Route), hop) {
				continue
			}
			if delete(missing, p); len(missing) == 0 {
				last <- time.Now()
			}
		}
	}()
	return func() time.Time {
		r.t.Helper()
		defer func() {
			close(done)
			for range news { // until the subscription has ended
			}
			<-ended
		}()
		select {
		case at := <-last:
			return at
		case <-time.After(longest):
			r.t.Fatalf("the kernel has not heard of %s for %d of %d prefixes\n%s", hop, len(missing), len(prefixes), r.logs())
			return time.Time{}
		}
	}
}
