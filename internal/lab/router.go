package lab

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// RouterKind names what holds the routes of the lab's router.
type RouterKind string

const (
	RouterLinux RouterKind = "linux"   // its kernel, which the controller steers itself
	RouterFRR   RouterKind = "frr"     // FRR, which the controller logs in to by SSH
	RouterBIRD  RouterKind = "bird"    // BIRD, which the controller tells by BGP
	RouterBGPD  RouterKind = "frr-bgp" // FRR's bgpd, likewise
)

// RouterKinds lists all of them.
func RouterKinds() []RouterKind {
	return []RouterKind{RouterLinux, RouterFRR, RouterBIRD, RouterBGPD}
}

// A router is what runs on the lab's router beside the controller and holds the
// routes. Each kind is one type, in a file of its own.
type router interface {
	// start starts it on a host that is wired and forwards packets. dir is the
	// lab's directory.
	start(h *host, dir string) error
	// config is the controller's word for it: a mapping in YAML's flow style.
	config(Profile) string
	// route makes packets for prefix go to via, as an operator would who knows what
	// he does: nothing is lost. Where there was another next hop, it goes.
	route(ctx context.Context, prefix netip.Prefix, via netip.Addr) error
	// cuts says why planned moves cut established connections; "" if that is for
	// the controller to say.
	cuts() string
	// stop ends it; before start it does nothing.
	stop() error
}

// A scripted router is one whose lines people's scripts type.
type scripted interface {
	// removeFirst does what such scripts do: the old line of each prefix goes, and
	// so much later the new one comes.
	removeFirst(ctx context.Context, prefixes []netip.Prefix, to netip.Addr, between time.Duration) error
}

// newRouter makes a router that is not started.
func newRouter(options Options) (router, error) {
	switch options.Router {
	case RouterLinux, "":
		return &linuxRouter{}, nil
	case RouterFRR:
		return &frrRouter{unpacked: options.Unpacked}, nil
	case RouterBIRD:
		return &birdRouter{unpacked: options.Unpacked}, nil
	case RouterBGPD:
		return &frrBGPRouter{unpacked: options.Unpacked}, nil
	default:
		words := make([]string, len(RouterKinds()))
		for i, kind := range RouterKinds() {
			words[i] = string(kind)
		}
		return nil, fmt.Errorf("router %q: there are %s", string(options.Router), strings.Join(words, ", "))
	}
}
