package metrics

import "github.com/prometheus/client_golang/prometheus"

// A metric is one of ours.
type metric struct {
	Name   string // in full
	Kind   string // "gauge", "counter" or "histogram"
	Help   string
	Labels []string

	desc *prometheus.Desc
}

// of is the metric with a value.
func (m *metric) of(value float64, labels ...string) prometheus.Metric {
	kind := prometheus.GaugeValue
	if m.Kind == "counter" {
		kind = prometheus.CounterValue
	}
	return prometheus.MustNewConstMetric(m.desc, kind, value, labels...)
}

// A catalogue is all of our metrics. It is never changed.
type catalogue struct {
	all []*metric

	build, started                        *metric
	config, reloaded, loaded              *metric
	steering, warnings                    *metric
	checks, checkTook                     *metric
	targets, target                       *metric
	serverUp, echo, admin, drained        *metric
	weight, serves                        *metric
	vips, unserved, unsynced, held, pins  *metric
	eligible, at, synced                  *metric
	routerSynced, looked, changedAt       *metric
	changes, repairs, routes              *metric
	foreign, fought, session              *metric
	applied, refusals                     *metric
	transitions, connections              *metric
	events, moves, verdicts, freezes, led *metric
	notified, notifyFailures              *metric
	notifyWaiting, notifyWell             *metric
}

func newCatalogue() *catalogue {
	c := &catalogue{}
	c.addSite()
	c.addServers()
	c.addVIPs()
	c.addRouters()
	c.addEvents()
	c.addNotifiers()
	return c
}

func (c *catalogue) addSite() {
	c.build = c.gauge("build_info", "The program that runs; always 1.", "version", "goversion")
	c.started = c.gauge("start_time_seconds", "When the controller started, in Unix time.")
	c.config = c.gauge("config_info", "The configuration that runs, by the start of its SHA-256 sum; always 1.", "file", "hash")
	c.reloaded = c.gauge("config_last_reload_successful", "1 if the last reload was accepted, or there was none; 0 if it was refused and the configuration before it runs on.")
	c.loaded = c.gauge("config_last_reload_success_timestamp_seconds", "When the configuration that runs was loaded, in Unix time.")
	c.steering = c.gauge("steering", "1 if failures move traffic; 0 if all such moves are withheld (frozen).")
	c.warnings = c.gauge("warnings", "What an operator should look at: the lines of `routesteer status`.")
}

func (c *catalogue) addServers() {
	c.checks = c.counter("checks_total", "Checks made, by result: passed or failed.", "server", "check", "result")
	c.checkTook = c.histogram("check_duration_seconds", "How long checks took, whatever came of them.", "server", "check")
	c.targets = c.gauge("server_targets", "VIPs of a server by what its checks say of them: up, down or unknown. VIPs that are judged alike count once.", "server", "verdict")
	c.target = c.gauge("target_up", "1 if a server is up for a VIP, 0 if it is down; none while that is unknown. Of VIPs that are judged alike, the first.", "server", "vip", "check")
	c.serverUp = c.gauge("server_up", "1 if a server is up for every VIP that it may carry; 0 otherwise.", "server")
	c.echo = c.gauge("server_echo_up", "1 if a server answers ICMP echo, 0 if it is lost; none where echo is off, filtered or was never answered.", "server")
	c.admin = c.gauge("server_admin_state", "1 for the state that a server is in by an operator's word or the file's: ready, drain or maintenance; 0 for the others.", "server", "state")
	c.drained = c.gauge("server_drain_start_timestamp_seconds", "When a server was drained, in Unix time; none while it is not.", "server")
	c.weight = c.gauge("server_weight", "A server's share of the load, relative to the others.", "server")
	c.serves = c.gauge("server_vips", "Prefixes whose traffic is wanted at a server.", "server")
}

func (c *catalogue) addVIPs() {
	c.vips = c.gauge("vips", "Prefixes of the site.")
	c.unserved = c.gauge("vips_without_eligible_server", "Prefixes that no server is up and ready for.")
	c.unsynced = c.gauge("vips_out_of_sync", "Prefixes that some router does not send where they are wanted.")
	c.held = c.gauge("vips_held", "Prefixes that a failure calls to move, and a guard holds back.")
	c.pins = c.gauge("vips_pinned", "Prefixes that an operator has pinned to a server.")
	c.eligible = c.gauge("vip_eligible_servers", "Servers that are up and ready for a VIP.", "vip", "name")
	c.at = c.gauge("vip_server_info", "The servers that a VIP's traffic is wanted at; always 1.", "vip", "name", "server")
	c.synced = c.gauge("vip_in_sync", "1 if every router sends a VIP where it is wanted; 0 otherwise.", "vip", "name")
}

func (c *catalogue) addRouters() {
	c.routerSynced = c.gauge("router_in_sync", "1 if a router was read back and is as wanted; 0 otherwise.", "router", "driver")
	c.looked = c.gauge("router_last_look_timestamp_seconds", "When a router's routes were last read, in Unix time.", "router")
	c.changedAt = c.gauge("router_last_change_timestamp_seconds", "When routes of a router were last changed by us, in Unix time.", "router")
	c.changes = c.counter("router_changes_total", "Routes changed on a router.", "router")
	c.repairs = c.counter("router_repairs_total", "Routes put right that somebody else had changed; they count as changes too.", "router")
	c.routes = c.gauge("router_routes", "Routes of ours on a router.", "router")
	c.foreign = c.gauge("router_foreign_routes", "Routes of others for our VIPs on a router, which are left alone.", "router")
	c.fought = c.gauge("router_fighting_prefixes", "Prefixes left alone because another program changes them again and again.", "router")
	c.session = c.gauge("router_session_up", "1 if a session through which a router is steered, such as BGP's, is as it should be; 0 otherwise.", "router", "peer")
	c.applied = c.histogram("router_apply_duration_seconds", "How long it took a router to make the changes that it was given at a time.", "router")
	c.refusals = c.counter("router_apply_errors_total", "How often a router refused changes, in part at least.", "router")
	c.transitions = c.gauge("transitions", "Planned moves of VIPs whose connections are still ending.", "router")
	c.connections = c.gauge("transition_connections", "Connections that such moves have left at servers.", "router")
}

func (c *catalogue) addEvents() {
	c.events = c.counter("events_total", "Events since the start.", "kind", "severity")
	c.moves = c.counter("moves_total", "Prefixes whose traffic was wanted elsewhere, by cause.", "cause")
	c.verdicts = c.counter("verdict_changes_total", "How often the verdict on a server went to up, down or unknown, for VIPs that are judged alike together.", "server", "to")
	c.freezes = c.counter("freezes_total", "How often failures were withheld from moving traffic.")
	c.led = c.histogram("detect_to_route_seconds", "From the news that called for a move, such as the check that failed last, until a router had made the change.", "router", "cause")
}

func (c *catalogue) addNotifiers() {
	c.notified = c.counter("notifier_messages_total", "Messages of a notifier, by what became of them: delivered or dropped.", "notifier", "result")
	c.notifyFailures = c.counter("notifier_failures_total", "Tries of a notifier that failed.", "notifier")
	c.notifyWaiting = c.gauge("notifier_queued_messages", "Messages of a notifier that wait.", "notifier")
	c.notifyWell = c.gauge("notifier_up", "1 if the last try of a notifier succeeded, or there was none; 0 if it failed.", "notifier")
}

func (c *catalogue) gauge(name, help string, labels ...string) *metric {
	return c.add("gauge", name, help, labels)
}

func (c *catalogue) counter(name, help string, labels ...string) *metric {
	return c.add("counter", name, help, labels)
}

func (c *catalogue) histogram(name, help string, labels ...string) *metric {
	return c.add("histogram", name, help, labels)
}

func (c *catalogue) add(kind, name, help string, labels []string) *metric {
	name = "routesteer_" + name
	m := &metric{name, kind, help, labels, prometheus.NewDesc(name, help, labels, nil)}
	c.all = append(c.all, m)
	return m
}
