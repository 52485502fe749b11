package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A birdRouter is BIRD 2, which is told its routes by BGP and needs no root. The
// controller is on the same machine, so that it checks servers on any links: the
// session is over loopback, from 127.0.0.2 to 127.0.0.1.
type birdRouter struct {
	unpacked []string
	host     *host
	process  *process
}

func (r *birdRouter) start(h *host, dir string) error {
	r.host = h
	if err := r.run(h, dir); err != nil {
		return err
	}
	return h.awaitBGP(netip.AddrFrom4([4]byte{127, 0, 0, 1}), "BIRD", func() error {
		if !r.process.running() {
			return errors.New("it ended at once; " + r.process.lastWords())
		}
		return nil
	})
}

// awaitBGP waits until a daemon of the host takes sessions: a speaker whose first
// connection is refused waits for seconds. ended says why there is no point.
func (h *host) awaitBGP(at netip.Addr, daemon string, ended func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return poll(ctx, 5*time.Millisecond, daemon+" to take sessions", func() (bool, error) {
		if err := ended(); err != nil {
			return false, err
		}
		return h.Do(func() error { return connectOnce(ctx, netip.AddrPortFrom(at, 179).String()) }) == nil, nil
	})
}

// connectOnce connects, and no more.
func connectOnce(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (*birdRouter) config(Profile) string {
	return "{bgp: {asn: 65000, router_id: 192.0.2.2, peers: [" +
		"{address: 127.0.0.1, asn: 65001, source: 127.0.0.2, multihop: 2, hold_time: 9s}]}}"
}

// route is for labs without a controller, where BIRD is told nothing.
func (r *birdRouter) route(_ context.Context, prefix netip.Prefix, via netip.Addr) error {
	return r.host.route(prefix, via)
}

// bgpCuts is why planned moves cut connections on a router that is told by BGP.
const bgpCuts = "BGP knows no connections; only a Linux router that the controller runs on can leave them where they are"

func (*birdRouter) cuts() string { return bgpCuts }

// birdConfig is that of docs/bgp.md, for a session over loopback: its next hops
// are looked up among the router's networks.
const birdConfig = `router id 192.0.2.1;
protocol device { }
protocol direct { ipv4; ipv6; }

protocol kernel {
	merge paths on;
	ipv4 { import none; export where source = RTS_BGP; };
}
protocol kernel {
	merge paths on;
	ipv6 { import none; export where source = RTS_BGP; };
}

protocol bgp routesteer {
	local 127.0.0.1 as 65001;
	neighbor 127.0.0.2 as 65000;
	multihop 2;
	passive on;
	strict bind on;
	hold time 9;
	graceful restart on;
	ipv4 { import all; export none; add paths rx; };
	ipv6 { import all; export none; add paths rx; };
}
`

// run starts BIRD.
func (r *birdRouter) run(h *host, dir string) error {
	argv, err := r.program()
	if err != nil {
		return err
	}
	config := filepath.Join(dir, "bird.conf")
	if err := os.WriteFile(config, []byte(birdConfig), 0o600); err != nil {
		return fmt.Errorf("write BIRD's configuration: %w", err)
	}
	argv = append(argv, "-f", "-c", config, "-s", filepath.Join(dir, "bird.ctl"), "-P", filepath.Join(dir, "bird.pid"))
	r.process, err = startProcess(h, dir, "bird", argv, nil, nil)
	return err
}

// program finds BIRD: installed, or in an unpacked package with the libraries
// that came with it.
func (r *birdRouter) program() ([]string, error) {
	for _, name := range []string{"bird", "/usr/sbin/bird"} {
		if path, err := exec.LookPath(name); err == nil {
			return []string{path}, nil
		}
	}
	for _, root := range r.unpacked {
		path := filepath.Join(root, "usr/sbin/bird")
		if _, err := os.Stat(path); err == nil {
			libraries, _ := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu")) // none if it needs none
			return []string{"env", "LD_LIBRARY_PATH=" + strings.Join(libraries, ":"), path}, nil
		}
	}
	return nil, errors.New("BIRD 2 is not found: install it: apt-get install --no-install-recommends bird2 " +
		"(it starts a daemon of its own, which systemctl disable --now bird ends)")
}

func (r *birdRouter) stop() error {
	if r.process == nil {
		return nil
	}
	return r.process.kill()
}
