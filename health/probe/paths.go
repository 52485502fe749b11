package probe

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/topology"
)

// maxPaths is how many marks, tables and priorities, from the first of each,
// are for us.
const maxPaths = 4096

// A lane is what packets a path is for: those of one family to one server address,
// which is of the same family or, for IPv4, of IPv6 (RFC 8950).
type lane struct {
	address netip.Addr
	v4      bool
}

// lanes are those that a server needs.
func lanes(server topology.Server) []lane {
	var all []lane
	for _, address := range server.Addresses {
		all = append(all, lane{address, address.Is4()})
		if server.ViaInet6 {
			all = append(all, lane{address, true})
		}
	}
	return all
}

// A path is what forces packets to one server address. Its numbers never
// change; it is replaced when they must.
type path struct {
	lane
	server   topology.ServerName
	index    int
	mark     uint32
	table    int
	priority int

	refused error // of the route to the address, when it was last made; guarded by paths.mu

	broken  atomic.Pointer[string]                // why packets cannot be forced to the address; nil: they can
	detours atomic.Pointer[map[netip.Addr]string] // the same, for some VIP addresses alone
}

// paths keeps the kernel's rules and tables as the site needs them. Its methods
// are safe for any goroutine; kernel holds no lock that a check waits for.
type paths struct {
	log *slog.Logger

	mu     sync.Mutex // one writer to the kernel at a time: held over netlink calls
	kernel *kernel
	base   topology.Paths
	have   map[lane]*path
	asked  map[bool][]netip.Addr // by Is4: the VIP addresses, to ask the kernel's routing about
}

func newPaths(k *kernel, log *slog.Logger) *paths {
	return &paths{log: log, kernel: k, have: map[lane]*path{}}
}

// A change is a step from one set of paths to another: begun by prepare, ended
// by finish or undo.
type pathChange struct {
	next    map[lane]*path
	added   []*path
	removed []*path
	base    topology.Paths
	asked   map[bool][]netip.Addr
}

// prepare makes the paths that the site needs and does not have; nothing is
// removed yet. On an error the kernel is as before.
func (p *paths) prepare(site *topology.Site) (*pathChange, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change, err := p.plan(site)
	if err != nil {
		return nil, err
	}
	if err := p.kernel.claim(change.base, change.next, p.mine()); err != nil {
		return nil, err
	}
	for i, add := range change.added {
		if err := p.make(add); err != nil {
			return nil, errors.Join(err, p.drop(change.added[:i+1]))
		}
	}
	strangers, err := p.kernel.strangers(change.base)
	if err != nil {
		return nil, errors.Join(err, p.drop(change.added))
	}
	for _, add := range change.added {
		p.judge(add, change.asked, strangers)
	}
	return change, nil
}

// plan assigns an index to each lane. One keeps the one it
// has: a check that is under way must not end up at another server.
func (p *paths) plan(site *topology.Site) (*pathChange, error) {
	c := &pathChange{next: map[lane]*path{}, base: site.Paths, asked: vipAddresses(site)}
	used := map[int]bool{}
	for _, server := range site.Servers {
		for _, lane := range lanes(server) {
			if old := p.have[lane]; old != nil && old.server == server.Name && p.base == site.Paths {
				c.next[lane] = old
				used[old.index] = true
			}
		}
	}
	// Indices of paths that go are free only after they are gone.
	for _, old := range p.have {
		if c.next[old.lane] != old {
			used[old.index] = used[old.index] || p.base == site.Paths
			c.removed = append(c.removed, old)
		}
	}
	index := 0
	for _, server := range site.Servers {
		for _, lane := range lanes(server) {
			if c.next[lane] != nil {
				continue
			}
			for used[index] {
				index++
			}
			if index >= maxPaths {
				return nil, fmt.Errorf("paths for more than %d server addresses", maxPaths)
			}
			used[index] = true
			added := newPath(site.Paths, server.Name, lane, index)
			c.next[lane] = added
			c.added = append(c.added, added)
		}
	}
	return c, nil
}

func newPath(base topology.Paths, server topology.ServerName, lane lane, index int) *path {
	return &path{
		lane: lane, server: server, index: index,
		mark: base.Mark + uint32(index), table: base.Table + index, priority: base.Priority + index,
	}
}

// vipAddresses are those that checks talk to, by family.
func vipAddresses(site *topology.Site) map[bool][]netip.Addr {
	all := map[bool][]netip.Addr{}
	for _, judge := range site.Judges() {
		for _, address := range judge.VIP.Addresses {
			all[address.Is4()] = append(all[address.Is4()], address)
		}
	}
	return all
}

// mine are the paths of this process, which need no adoption.
func (p *paths) mine() map[int]bool {
	mine := map[int]bool{}
	for _, path := range p.have {
		mine[path.priority] = true
	}
	return mine
}

// finish removes the paths that are not needed any more.
func (p *paths) finish(c *pathChange) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.have, p.base, p.asked = c.next, c.base, c.asked
	return p.drop(c.removed)
}

// make brings a path into the kernel, its table before its rule: the other way
// round packets would fall through to table main in between. Whether packets
// can take it then is for judge to say.
func (p *paths) make(path *path) error {
	if err := p.kernel.block(path); err != nil {
		return fmt.Errorf("make the path to %s (%s): %w", path.server, path.address, err)
	}
	path.refused = p.kernel.route(path)
	if path.refused != nil && !isUnreachable(path.refused) {
		return fmt.Errorf("make the path to %s (%s): %w", path.server, path.address, path.refused)
	}
	if err := p.kernel.rule(path); err != nil {
		return fmt.Errorf("make the rule for %s (%s): %w", path.server, path.address, err)
	}
	return nil
}

// judge asks the kernel where packets on the path go, and marks it accordingly:
// that the path was made does not say that it is taken.
func (p *paths) judge(path *path, asked map[bool][]netip.Addr, strangers strangers) {
	before := strangers.of(path)
	one, picked := sample(asked[path.v4], before)
	why := path.apart()
	if one.IsValid() {
		why = p.kernel.detour(path, one, before)
	}
	p.mark(path, why)
	detours := map[netip.Addr]string{}
	for _, to := range picked {
		if err := p.kernel.detour(path, to, before); err != nil {
			detours[to] = err.Error()
		}
	}
	p.markSome(path, detours)
}

// apart says so if the kernel did not take the route to the address.
func (p *path) apart() error {
	if p.refused == nil {
		return nil
	}
	return fmt.Errorf("no direct path to %s: not on a network that this machine is connected to", p.address)
}

// isUnreachable reports whether the kernel refused a route since it does not
// see the gateway on any of its links now. That is the server's trouble alone.
func isUnreachable(err error) bool {
	for _, errno := range []error{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.ENETDOWN, unix.EINVAL, unix.ENODEV} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// mark notes whether the path can be used, and logs when that changes.
func (p *paths) mark(path *path, err error) {
	was := path.broken.Load()
	if err == nil {
		path.broken.Store(nil)
		if was != nil {
			p.log.Info("path is back", "server", path.server, "address", path.address)
		}
		return
	}
	words := err.Error()
	path.broken.Store(&words)
	if was == nil || *was != words {
		p.log.Warn("path is broken", "server", path.server, "address", path.address, "reason", words)
	}
}

// markSome notes for which VIP addresses alone the path cannot be used, and
// logs what is new.
func (p *paths) markSome(path *path, detours map[netip.Addr]string) {
	var was map[netip.Addr]string
	if old := path.detours.Load(); old != nil {
		was = *old
	}
	path.detours.Store(&detours)
	for to, words := range detours {
		if was[to] != words {
			p.log.Warn("path is broken", "server", path.server, "address", path.address, "to", to, "reason", words)
		}
	}
	for to := range was {
		if detours[to] == "" {
			p.log.Info("path is back", "server", path.server, "address", path.address, "to", to)
		}
	}
}

// obstacle says why packets for a VIP address cannot be forced to the path's
// address; "" when they can.
func (p *path) obstacle(to netip.Addr) string {
	if broken := p.broken.Load(); broken != nil {
		return *broken
	}
	if detours := p.detours.Load(); detours != nil {
		return (*detours)[to]
	}
	return ""
}

// audit asks the kernel, for each path, where a marked packet would go, and
// makes again what is gone: a link that goes down takes the routes over it
// along. What others' rules take away stays broken until those are gone.
func (p *paths) audit() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	strangers, err := p.kernel.strangers(p.base)
	failed := []error{err}
	for _, path := range p.have {
		before := strangers.of(path)
		one, _ := sample(p.asked[path.v4], before)
		if !one.IsValid() || p.kernel.detour(path, one, before) != nil {
			failed = append(failed, p.make(path))
		}
		p.judge(path, p.asked, strangers)
	}
	return errors.Join(failed...)
}

// drop removes paths, rules first.
func (p *paths) drop(gone []*path) error {
	var failed []error
	for _, path := range gone {
		failed = append(failed, p.kernel.dropRule(path), p.kernel.dropRoutes(path))
	}
	return errors.Join(failed...)
}

// close removes all our paths.
func (p *paths) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*path
	for _, path := range p.have {
		all = append(all, path)
	}
	p.have = map[lane]*path{}
	err := p.drop(all)
	p.kernel.close()
	return err
}
