package metrics

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/routesteer/routesteer/api"
)

// state collects what is, from a status.
type state struct {
	*catalogue
	status *api.Status
	each   bool // VIP, one by one
}

// Describe implements prometheus.Collector. What is not described is not looked
// for in the registry, which is ours alone.
func (s *state) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s *state) Collect(out chan<- prometheus.Metric) {
	s.site(out)
	for _, server := range s.status.Servers {
		s.server(out, server)
	}
	s.sums(out)
	if s.each {
		for _, vip := range s.status.VIPs {
			s.vip(out, vip)
		}
		for _, server := range s.status.Servers {
			s.judged(out, server)
		}
	}
	for _, router := range s.status.Routers {
		s.router(out, router)
	}
	s.moves(out)
}

func (s *state) site(out chan<- prometheus.Metric) {
	config := s.status.Config
	out <- s.build.of(1, s.status.Version, runtime.Version())
	out <- s.started.of(seconds(s.status.Started))
	out <- s.config.of(1, config.File, config.Hash)
	out <- s.reloaded.of(good(config.Failed.IsZero()))
	out <- s.loaded.of(seconds(config.Loaded))
	out <- s.steering.of(good(s.status.Frozen == ""))
	out <- s.warnings.of(float64(len(s.status.Warnings)))
}

func (s *state) server(out chan<- prometheus.Metric, server api.Server) {
	out <- s.serverUp.of(good(server.Health == "up"), server.Name)
	out <- s.weight.of(float64(server.Weight), server.Name)
	verdicts := map[string]int{"up": 0, "down": 0, "unknown": 0}
	for _, target := range server.Targets {
		verdicts[target.Health]++
	}
	for verdict, n := range verdicts {
		out <- s.targets.of(float64(n), server.Name, verdict)
	}
	for _, word := range []string{"ready", "drain", "maintenance"} {
		out <- s.admin.of(good(server.Admin.State == word), server.Name, word)
	}
	if server.Admin.State == "drain" {
		out <- s.drained.of(seconds(server.Admin.Since), server.Name)
	}
	switch server.Echo {
	case "answers":
		out <- s.echo.of(1, server.Name)
	case "lost":
		out <- s.echo.of(0, server.Name)
	}
}

// judged is what checks say of a server for each VIP.
func (s *state) judged(out chan<- prometheus.Metric, server api.Server) {
	for _, target := range server.Targets {
		if target.Health != "unknown" {
			out <- s.target.of(good(target.Health == "up"), server.Name, target.VIP, target.Check)
		}
	}
}

// sums counts prefixes.
func (s *state) sums(out chan<- prometheus.Metric) {
	var all, unserved, unsynced, held, pinned int
	serves := map[string]int{}
	for _, vip := range s.status.VIPs {
		n := max(1, len(vip.Prefixes))
		all += n
		unserved += n * count(len(vip.Eligible) == 0)
		unsynced += n * count(!vip.InSync)
		held += n * count(vip.Held)
		pinned += n * count(vip.Pin != nil)
		for _, server := range vip.Wanted {
			serves[server] += n
		}
	}
	out <- s.vips.of(float64(all))
	out <- s.unserved.of(float64(unserved))
	out <- s.unsynced.of(float64(unsynced))
	out <- s.held.of(float64(held))
	out <- s.pins.of(float64(pinned))
	for _, server := range s.status.Servers {
		out <- s.serves.of(float64(serves[server.Name]), server.Name)
	}
}

func (s *state) vip(out chan<- prometheus.Metric, vip api.VIP) {
	out <- s.eligible.of(float64(len(vip.Eligible)), vip.Prefix, vip.Name)
	out <- s.synced.of(good(vip.InSync), vip.Prefix, vip.Name)
	for _, server := range vip.Wanted {
		out <- s.at.of(1, vip.Prefix, vip.Name, server)
	}
}

func (s *state) router(out chan<- prometheus.Metric, router api.Router) {
	out <- s.routerSynced.of(good(router.InSync), router.Name, router.Driver)
	if !router.LastLook.IsZero() {
		out <- s.looked.of(seconds(router.LastLook), router.Name)
	}
	if !router.LastChange.IsZero() {
		out <- s.changedAt.of(seconds(router.LastChange), router.Name)
	}
	out <- s.changes.of(float64(router.Changes), router.Name)
	out <- s.repairs.of(float64(router.Repairs), router.Name)
	out <- s.routes.of(float64(router.Routes), router.Name)
	out <- s.foreign.of(float64(len(router.Foreign)), router.Name)
	out <- s.fought.of(float64(len(router.Fighting)), router.Name)
	for peer, well := range sessions(router) {
		out <- s.session.of(good(well), router.Name, peer)
	}
}

// sessions says by peer whether all is well.
func sessions(router api.Router) map[string]bool {
	well := map[string]bool{}
	for _, session := range router.Sessions {
		former, twice := well[session.Peer]
		well[session.Peer] = session.Well && (former || !twice)
	}
	return well
}

// moves counts planned moves that are under way, by router.
func (s *state) moves(out chan<- prometheus.Metric) {
	moves, left := map[string]int{}, map[string]int{}
	for _, t := range s.status.Transitions {
		moves[t.Router] += max(1, t.Prefixes)
		left[t.Router] += t.Connections()
	}
	for _, router := range s.status.Routers {
		out <- s.transitions.of(float64(moves[router.Name]), router.Name)
		out <- s.connections.of(float64(left[router.Name]), router.Name)
	}
}

// good is how Prometheus wants to be told that something is as it should be.
func good(is bool) float64 { return float64(count(is)) }

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMicro()) / 1e6
}
