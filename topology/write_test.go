package topology

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// write returns a file that means the site, every key given, one in a line.
func write(site *Site) string {
	w := &writer{}
	w.line(0, "servers:")
	for _, server := range site.Servers {
		w.line(1, "%s:", server.Name)
		w.line(2, "addresses: %s", list(server.Addresses))
		w.line(2, "weight: %d", server.Weight)
		w.line(2, "via_inet6: %v", server.ViaInet6)
	}
	w.line(0, "checks:")
	for _, check := range site.Checks {
		w.check(check)
	}
	w.alive(site.Alive)
	w.line(0, "vips:")
	for _, entry := range site.Entries() {
		w.entry(entry)
	}
	w.line(0, "routers:")
	for _, router := range site.Routers {
		w.line(1, "%s:", router.Name)
		if limit := router.ChangeLimit; limit.Changes > 0 {
			w.line(2, "change_limit: {changes: %d, per: %s}", limit.Changes, limit.Per)
		}
		if router.Cisco != nil {
			w.cisco(*router.Cisco)
			continue
		}
		if router.BGP != nil {
			w.bgp(*router.BGP)
			continue
		}
		w.line(2, "linux:")
		w.line(3, "table: %d", router.Linux.Table)
		w.line(3, "metric: %d", router.Linux.Metric)
		w.line(3, "protocol: %d", router.Linux.Protocol)
		w.line(3, "adopt: %v", router.Linux.Adopt)
		w.line(3, "flow_limit: %d", router.Linux.FlowLimit)
		w.line(3, "resilient: %v", router.Linux.Resilient)
	}
	w.line(0, "policy:")
	w.failback(1, site.Policy.Failback)
	w.line(1, "on_all_down: %s", site.Policy.OnAllDown)
	switch share := site.Policy.MaxUnavailable; {
	case share.Percent > 0:
		w.line(1, "max_unavailable: %d%%", share.Percent)
	case share.Count > 0:
		w.line(1, "max_unavailable: %d", share.Count)
	}
	w.line(1, "drain_timeout: %s", site.Policy.Drain.Timeout)
	w.line(1, "drain_idle: %s", site.Policy.Drain.Idle)
	w.line(1, "drain_udp: %s", site.Policy.Drain.UDP)
	w.line(1, "correlated: %s", site.Policy.Correlated)
	if len(site.Policy.Witness) > 0 {
		w.line(1, "witness: %s", list(site.Policy.Witness))
	}
	if site.Policy.DrainReminder == 0 {
		w.line(1, "drain_reminder: never")
	} else {
		w.line(1, "drain_reminder: %s", site.Policy.DrainReminder)
	}
	for i, m := range site.Maintenance {
		if i == 0 {
			w.line(0, "maintenance:")
		}
		w.line(1, "- servers: %s", list(m.Servers))
		w.line(2, "at: %q", m.At)
		w.line(2, "for: %s", m.For)
		w.line(2, "time_zone: %s", m.At.Zone)
		w.line(2, "reason: %q", m.Reason)
	}
	w.line(0, "paths:")
	w.line(1, "mark: 0x%x", site.Paths.Mark)
	w.line(1, "table: %d", site.Paths.Table)
	w.line(1, "priority: %d", site.Paths.Priority)
	w.web(site.Web)
	w.notify(site.Notify)
	return w.String()
}

type writer struct{ strings.Builder }

func (w *writer) line(depth int, format string, args ...any) {
	fmt.Fprintf(w, strings.Repeat("  ", depth)+format+"\n", args...)
}

func (w *writer) check(check Check) {
	w.line(1, "%s:", check.Name)
	if g := check.Group; g != nil {
		switch g.Needs {
		case len(g.Of):
			w.line(2, "all: %s", list(g.Of))
		case 1:
			w.line(2, "any: %s", list(g.Of))
		default:
			w.line(2, "quorum: %d", g.Needs)
			w.line(2, "of: %s", list(g.Of))
		}
		return
	}
	switch {
	case check.HTTP != nil:
		w.http(*check.HTTP)
	case check.TCP != nil:
		w.line(2, "tcp: %d", check.TCP.Port)
	case check.TLS != nil:
		w.line(2, "tls:")
		w.line(3, "port: %d", check.TLS.Port)
		w.certificate(3, check.TLS.Certificate)
	case check.DNS != nil:
		w.dns(*check.DNS)
	case check.Script != nil:
		w.line(2, "script: %s", list(check.Script.Command))
	case check.Agent != nil:
		w.line(2, "agent:")
		w.line(3, "port: %d", check.Agent.Port)
		w.line(3, "send: %q", check.Agent.Send)
	case check.GRPC != nil:
		w.line(2, "grpc:")
		w.line(3, "port: %d", check.GRPC.Port)
		w.line(3, "service: %q", check.GRPC.Service)
		if check.GRPC.TLS != nil {
			w.line(3, "tls:")
			w.certificate(4, *check.GRPC.TLS)
		}
	default:
		w.line(2, "icmp:")
	}
	w.line(2, "interval: %s", check.Interval)
	w.line(2, "fast_interval: %s", check.FastInterval)
	w.line(2, "standby_interval: %s", check.StandbyInterval)
	w.line(2, "timeout: %s", check.Timeout)
	w.line(2, "rise: %d", check.Rise)
	w.line(2, "fall: %d", check.Fall)
	w.line(2, "through: %s", check.Through)
	w.line(2, "watch: %v", check.Watch)
}

func (w *writer) http(http HTTP) {
	if http.TLS {
		w.line(2, "https:")
		w.certificate(3, http.Certificate)
	} else {
		w.line(2, "http:")
	}
	w.line(3, "port: %d", http.Port)
	w.line(3, "method: %s", http.Method)
	w.line(3, "path: %q", http.Path)
	if http.Host != "" {
		w.line(3, "host: %q", http.Host)
	}
	if len(http.Headers) > 0 {
		w.line(3, "headers:")
	}
	for _, header := range http.Headers {
		w.line(4, "%s: %q", header.Name, header.Value)
	}
	var ranges []string
	for _, r := range http.Status {
		ranges = append(ranges, fmt.Sprintf("%d-%d", r.First, r.Last))
	}
	w.line(3, "status: %q", strings.Join(ranges, ","))
	w.line(3, "body: %q", http.Body)
	w.line(3, "keep_alive: %v", http.KeepAlive)
}

func (w *writer) dns(dns DNS) {
	w.line(2, "dns:")
	w.line(3, "name: %q", dns.Name)
	w.line(3, "type: %s", dns.Type)
	w.line(3, "port: %d", dns.Port)
	w.line(3, "tcp: %v", dns.TCP)
	w.line(3, "rcode: %s", dns.RCode)
	if dns.Answer != "" {
		w.line(3, "answer: %q", dns.Answer)
	}
}

func (w *writer) certificate(depth int, c Certificate) {
	if c.ServerName != "" {
		w.line(depth, "server_name: %q", c.ServerName)
	}
	if c.CAFile != "" {
		w.line(depth, "ca_file: %q", c.CAFile)
	}
	w.line(depth, "skip_verify: %v", c.SkipVerify)
	if !c.SkipVerify {
		w.line(depth, "min_days: %d", c.MinDays)
	}
}

func (w *writer) alive(alive Alive) {
	if alive.Off {
		w.line(0, "alive: off")
		return
	}
	w.line(0, "alive:")
	w.line(1, "interval: %s", alive.Interval)
	w.line(1, "fall: %d", alive.Fall)
}

func (w *writer) entry(entry Entry) {
	vip := entry.VIP
	if len(entry.Prefixes) == 1 {
		w.line(1, "- prefix: %q", vip.Prefix)
	} else {
		w.line(1, "- prefixes: %s", list(entry.Prefixes))
	}
	if vip.Name != "" {
		w.line(2, "name: %s", vip.Name)
	}
	w.line(2, "addresses: %s", list(vip.Addresses))
	w.line(2, "check: %s", vip.Check)
	for _, tier := range vip.Tiers {
		w.line(2, "%s: %s", tier.Name, list(tier.Servers))
	}
	if len(vip.Disabled) > 0 {
		w.line(2, "disabled: %s", list(vip.Disabled))
	}
	if len(vip.Weights) > 0 {
		w.line(2, "weights:")
	}
	for _, name := range slices.Sorted(maps.Keys(vip.Weights)) {
		w.line(3, "%s: %d", name, vip.Weights[name])
	}
	w.line(2, "mode: %s", vip.Mode)
	w.failback(2, vip.Failback)
	w.line(2, "on_all_down: %s", vip.OnAllDown)
	if vip.BGP != nil {
		w.own(*vip.BGP)
	}
}

func (w *writer) own(own OwnAttributes) {
	w.line(2, "bgp:")
	if own.Communities != nil {
		w.line(3, "communities: %s", list(own.Communities))
	}
	if own.MED != nil {
		w.line(3, "med: %d", *own.MED)
	}
	if own.LocalPref != nil {
		w.line(3, "local_pref: %d", *own.LocalPref)
	}
	if own.Prepend != nil {
		w.line(3, "prepend: %d", *own.Prepend)
	}
	w.line(3, "origin: %s", cmp.Or(own.Origin, OriginIGP))
}

func (w *writer) cisco(cisco Cisco) {
	w.line(2, "cisco:")
	w.line(3, "address: %q", cisco.Address)
	w.line(3, "port: %d", cisco.Port)
	w.line(3, "user: %q", cisco.User)
	if cisco.KeyFile != "" {
		w.line(3, "key_file: %s", cisco.KeyFile)
	}
	w.secret("password", cisco.Password)
	w.secret("enable", cisco.Enable)
	if cisco.HostKey != "" {
		w.line(3, "host_key: %s", cisco.HostKey)
	} else {
		w.line(3, "known_hosts: %s", cisco.KnownHosts)
	}
	w.line(3, "legacy_algorithms: %v", cisco.LegacyAlgorithms)
	w.line(3, "dialect: %s", cisco.Dialect)
	if cisco.VRF != "" {
		w.line(3, "vrf: %s", cisco.VRF)
	}
	if cisco.Tag != 0 {
		w.line(3, "tag: %d", cisco.Tag)
	}
	w.line(3, "distance: %d", cisco.Distance)
	w.line(3, "adopt: %v", cisco.Adopt)
	w.line(3, "strategy: %s", cisco.Strategy)
	switch {
	case cisco.Save.AfterChange:
		w.line(3, "save: after_change")
	case cisco.Save.After > 0:
		w.line(3, "save: %s", cisco.Save.After)
	default:
		w.line(3, "save: never")
	}
	w.line(3, "keep_session: %v", cisco.KeepSession)
	w.line(3, "timeout: %s", cisco.Timeout)
	w.line(3, "poll: %s", cisco.Poll)
}

func (w *writer) bgp(bgp BGP) {
	w.line(2, "bgp:")
	w.line(3, "asn: %d", bgp.ASN)
	w.line(3, "router_id: %s", bgp.RouterID)
	if len(bgp.Communities) > 0 {
		w.line(3, "communities:")
		for _, c := range bgp.Communities {
			w.line(4, "- %q", c)
		}
	}
	if bgp.MED != nil {
		w.line(3, "med: %d", *bgp.MED)
	}
	w.line(3, "local_pref: %d", bgp.LocalPref)
	w.line(3, "prepend: %d", bgp.Prepend)
	w.line(3, "origin: %s", bgp.Origin)
	switch restart := bgp.Restart; {
	case restart.Time == 0:
		w.line(3, "graceful_restart: off")
	case restart.LongLived == 0:
		w.line(3, "graceful_restart: {time: %s}", restart.Time)
	default:
		w.line(3, "graceful_restart: {time: %s, long_lived: %s}", restart.Time, restart.LongLived)
	}
	if bgp.AtExit != AtExitKeep {
		w.line(3, "at_exit: %s", bgp.AtExit)
	}
	if bgp.GracefulShutdown > 0 {
		w.line(3, "graceful_shutdown: %s", bgp.GracefulShutdown)
	}
	if bgp.ListenPort != portBGP {
		w.line(3, "listen_port: %d", bgp.ListenPort)
	}
	w.line(3, "peers:")
	for _, peer := range bgp.Peers {
		w.peer(peer)
	}
}

func (w *writer) peer(peer Peer) {
	w.line(3, "- address: %q", peer.Address)
	w.line(4, "asn: %d", peer.ASN)
	w.line(4, "port: %d", peer.Port)
	w.secretAt(4, "password", peer.Password)
	if peer.Multihop > 0 {
		w.line(4, "multihop: %d", peer.Multihop)
	}
	if peer.TTLSecurity > 0 {
		w.line(4, "ttl_security: %d", peer.TTLSecurity)
	}
	w.line(4, "passive: %v", peer.Passive)
	if peer.Source.IsValid() {
		w.line(4, "source: %q", peer.Source)
	}
	w.line(4, "hold_time: %s", peer.HoldTime)
	w.line(4, "connect_retry: %s", peer.ConnectRetry)
	switch {
	case !peer.IPv6:
		w.line(4, "families: ipv4")
	case !peer.IPv4:
		w.line(4, "families: [ipv6]")
	}
	if peer.BFD != nil {
		w.line(4, "bfd: {interval: %s, multiplier: %d}", peer.BFD.Interval, peer.BFD.Multiplier)
	}
}

func (w *writer) web(web Web) {
	if !web.Listen.IsValid() {
		return
	}
	w.line(0, "http:")
	w.line(1, "listen: %q", web.Listen)
	w.line(1, "read: %s", web.Read)
	if web.TLS != nil {
		w.line(1, "tls:")
		w.line(2, "cert_file: %q", web.TLS.CertFile)
		w.line(2, "key_file: %q", web.TLS.KeyFile)
		if web.TLS.ClientCAFile != "" {
			w.line(2, "client_ca_file: %q", web.TLS.ClientCAFile)
		}
	}
	if len(web.Tokens) > 0 {
		w.line(1, "tokens:")
	}
	for _, token := range web.Tokens {
		w.line(2, "%s:", token.Name)
		switch {
		case token.Secret.File != "":
			w.line(3, "file: %q", token.Secret.File)
		case token.Secret.Env != "":
			w.line(3, "env: %q", token.Secret.Env)
		default:
			w.line(3, "credential: %q", token.Secret.Credential)
		}
		if token.Servers != nil {
			w.line(3, "servers: %s", list(token.Servers))
		}
	}
}

func (w *writer) secret(key string, secret Secret) { w.secretAt(3, key, secret) }

func (w *writer) secretAt(depth int, key string, secret Secret) {
	switch {
	case secret.File != "":
		w.line(depth, "%s: {file: %q}", key, secret.File)
	case secret.Env != "":
		w.line(depth, "%s: {env: %q}", key, secret.Env)
	case secret.Credential != "":
		w.line(depth, "%s: {credential: %q}", key, secret.Credential)
	}
}

func (w *writer) failback(depth int, failback Failback) {
	if failback.Mode == FailbackAfter {
		w.line(depth, "failback:")
		w.line(depth+1, "after: %s", failback.After)
		if between := failback.Between; !between.Always() {
			w.line(depth+1, "between: %s-%s", clock(between.From), clock(between.To))
			w.line(depth+1, "time_zone: %s", between.Zone)
		}
		return
	}
	w.line(depth, "failback: %s", failback.Mode)
}

func list[T any](items []T) string {
	var words []string
	for _, item := range items {
		words = append(words, fmt.Sprintf("%q", fmt.Sprint(item)))
	}
	return "[" + strings.Join(words, ", ") + "]"
}
