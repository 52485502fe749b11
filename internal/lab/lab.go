// Package lab builds a whole site on this machine, in network namespaces
// without names: a router that runs the real controller, web servers with
// VIPs on loopback, a switch, and a client that makes real traffic and counts
// what is lost.
//
// A Lab is started with Start and ended with Close, and ends with its process,
// however that ends: namespaces live in its threads, and its children die with
// these. What is left then is one directory, which the next Start removes.
//
//	Start → Lab.Do (faults), Lab.StartLoad → Load.Open → Window.Close → Figures
//
// Report measures each fault, and Tour tells the story of a day in a minute.
// The lab's own processes are this program again, by the hidden subcommand
// that calls Node.
package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/routesteer/routesteer/api"
)

// Options says what lab to build. The zero value is the article's site, with
// static routes and no controller.
type Options struct {
	ID       int        // number of the lab; 0 is the lowest free one
	Base     string     // directory for the lab's directory; "" is where Do looks for it
	Servers  int        // default 4
	VIPs     int        // default 4: one for each server
	Links    Links      // default Switched
	Family   Family     // default IPv4
	Router   RouterKind // what holds the routes; default RouterLinux. RouterFRR and RouterBGPD need root, FRR and an SSH server, RouterBIRD needs BIRD 2
	Unpacked []string   // directories with packages that the router needs and that are not installed; for tests
	Profile  Profile    // the controller's intervals
	Failback string     // policy, as in the configuration file; default {after: 1s}

	// Node is the command that calls the function Node with the arguments that
	// follow; default this program with "lab-node".
	Node []string
	// Controller is the command of the controller, without the flags -c, --socket
	// and --state, which the lab adds: this program with "run". Nil is none; then
	// the lab sets the routes itself, once.
	Controller []string
	// Dial returns the operator's side of the controller at a socket. It need not
	// be there yet.
	Dial func(socket string) api.Operator
}

func (o *Options) complete() error {
	if o.Servers == 0 {
		o.Servers = 4
	}
	if o.VIPs == 0 {
		o.VIPs = 4
	}
	if o.Links == "" {
		o.Links = Switched
	}
	if o.Family == "" {
		o.Family = IPv4
	}
	if o.Router == "" {
		o.Router = RouterLinux
	}
	if o.Profile == "" {
		o.Profile = Default
	}
	if o.Failback == "" {
		o.Failback = "{after: 1s}"
	}
	if o.Controller != nil && o.Dial == nil {
		return errors.New("lab: a controller needs Options.Dial")
	}
	if o.Node == nil {
		exe, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program's file: %w", err)
		}
		o.Node = []string{exe, "lab-node"}
	}
	return nil
}

// enough says whether the site has the servers and VIPs that a story is about:
// one to be lost, and another to take over.
func (o *Options) enough(what string) error {
	if o.Servers < 2 || o.VIPs < 2 {
		return fmt.Errorf("%s of %d servers and %d VIPs: it needs at least 2 of each, one to be lost and one to stay", what, o.Servers, o.VIPs)
	}
	return nil
}

// A Lab is a running site. Its methods may be called by several goroutines.
type Lab struct {
	ID       int
	Paths    Paths
	Site     Site
	Profile  Profile
	Router   RouterKind
	Operator api.Operator // of the controller; nil without one

	options  Options
	instance *instance
	network  *network
	router   router
	door     *door

	turn       chan struct{}       // one action at a time; it guards:
	servers    map[string]*process // by name
	controller *process            // nil without one

	mu     sync.Mutex
	faults map[string][]Action // what was done to servers and not undone
	loads  []*Load
}

// Start builds a lab and starts everything in it but the load. It needs the
// right to make network namespaces: see netns.Enter.
func Start(ctx context.Context, options Options) (*Lab, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	site, err := PlanSite(options.Family, options.Servers, options.VIPs, options.Links)
	if err != nil {
		return nil, err
	}
	router, err := newRouter(options)
	if err != nil {
		return nil, err
	}
	l := &Lab{Site: site, Profile: options.Profile, Router: options.Router, options: options, router: router,
		turn: make(chan struct{}, 1), servers: map[string]*process{}, faults: map[string][]Action{}}
	if err := l.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start the lab: %w", err), l.Close())
	}
	return l, nil
}

func (l *Lab) start(ctx context.Context) error {
	var err error
	if l.instance, err = claim(l.options.Base, l.options.ID); err != nil {
		return err
	}
	l.ID = l.instance.id
	l.Paths = PathsOf(l.options.Base, l.ID)
	if l.network, err = buildNetwork(l.Site); err != nil {
		return err
	}
	for _, server := range l.Site.Servers {
		if l.servers[server.Name], err = l.startServer(server); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	if err := l.router.start(l.network.router, l.Paths.Dir); err != nil {
		return err
	}
	if err := l.startSteering(ctx); err != nil {
		return err
	}
	l.door, err = l.listen()
	return err
}

// startServer starts a server's process and waits until it listens.
func (l *Lab) startServer(server Server) (*process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", server.Name, err)
	}
	argv := append(slices.Clone(l.options.Node), "server", "--name", server.Name, "--family", string(l.Site.Family))
	p, err := startProcess(l.network.servers[server.Name], l.Paths.Dir, server.Name, argv, nil, w)
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return p, p.awaitReady(r)
}

// startSteering starts the controller, or sets the routes for good.
func (l *Lab) startSteering(ctx context.Context) error {
	config, err := l.Site.config(l.Profile, l.options.Failback, l.router.config(l.Profile))
	if err != nil {
		return err
	}
	if err := os.WriteFile(l.Paths.Site, []byte(config), 0o600); err != nil {
		return fmt.Errorf("write the site's configuration: %w", err)
	}
	if l.options.Controller != nil {
		l.Operator = l.options.Dial(l.Paths.Socket)
		return l.startController()
	}
	for _, vip := range l.Site.VIPs {
		if err := l.Route(ctx, vip, vip.Primary); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) startController() error {
	argv := append(slices.Clone(l.options.Controller), "-c", l.Paths.Site, "--socket", l.Paths.Socket, "--state", l.Paths.State)
	p, err := startProcess(l.network.router, l.Paths.Dir, "controller", argv, nil, nil)
	if err != nil {
		return err
	}
	l.controller = p
	return nil
}

// Route makes the router send a VIP's packets to a server, the way an operator
// without a controller would: at no moment is there no route.
func (l *Lab) Route(ctx context.Context, vip VIP, server string) error {
	s, err := l.Site.server(server)
	if err != nil {
		return err
	}
	return l.router.route(ctx, vip.Prefix, s.Address)
}

// StartLoad starts the traffic generator and returns when it runs.
func (l *Lab) StartLoad(ctx context.Context, options LoadOptions) (*Load, error) {
	load, err := startLoad(l.network.client, l.Paths.Dir, l.options.Node, options.plan(l.Site))
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.loads = append(l.loads, load)
	l.mu.Unlock()
	if err := load.Wait(ctx); err != nil {
		return nil, err
	}
	return load, load.Establish(ctx, options.Established)
}

// Close ends everything and removes the lab's directory.
func (l *Lab) Close() error {
	var err error
	if l.door != nil {
		err = l.door.close()
	}
	// No action runs from here on.
	l.turn <- struct{}{}
	if l.controller != nil {
		err = errors.Join(err, l.controller.stop(2*time.Second))
	}
	l.mu.Lock()
	loads := l.loads
	l.mu.Unlock()
	for _, load := range loads {
		load.kill()
	}
	for _, p := range l.servers {
		if p != nil {
			err = errors.Join(err, p.kill())
		}
	}
	err = errors.Join(err, l.router.stop())
	if l.network != nil {
		err = errors.Join(err, l.network.close())
	}
	if l.instance != nil {
		err = errors.Join(err, l.instance.release())
	}
	return err
}
