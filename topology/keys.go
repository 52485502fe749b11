package topology

import "slices"

// An object is a kind of mapping in the file with a fixed set of keys. Its
// text names the definition in schema.json.
type object string

const (
	siteObject     object = "site"
	serverObject   object = "server"
	checkObject    object = "check"
	httpObject     object = "http"
	httpsObject    object = "https"
	tcpObject      object = "tcp"
	tlsObject      object = "tls"
	dnsObject      object = "dns"
	grpcObject     object = "grpc"
	grpcTLSObject  object = "grpc_tls"
	agentObject    object = "agent"
	icmpObject     object = "icmp"
	aliveObject    object = "alive"
	vipObject      object = "vip"
	failbackObject object = "failback"
	routerObject   object = "router"
	linuxObject    object = "linux"
	ciscoObject    object = "cisco"
	bgpObject      object = "bgp"
	peerObject     object = "peer"
	restartObject  object = "graceful_restart"
	bfdObject      object = "bfd"
	ownObject      object = "own_attributes"
	secretObject   object = "secret"
	policyObject   object = "policy"
	windowObject   object = "maintenance"
	limitObject    object = "change_limit"
	pathsObject    object = "paths"

	notifyObject     object = "notifier"
	notifyOnObject   object = "notify_on"
	notifyExecObject object = "notify_exec"
	webhookObject    object = "webhook"
	emailObject      object = "email"
	webObject        object = "web"
	webTLSObject     object = "web_tls"
	tokenObject      object = "token"
)

// keys returns the keys an object may have: the whole grammar of the file in
// one place, which the tests compare with schema.json.
func (o object) keys() []string {
	switch o {
	case siteObject:
		return []string{"servers", "checks", "alive", "vips", "routers", "policy", "maintenance", "paths", "http", "notify"}
	case serverObject:
		return []string{"address", "addresses", "weight", "via_inet6"}
	case checkObject:
		return slices.Concat(checkKinds(), groupKeys(), []string{"of"}, checkTerms())
	case httpObject:
		return []string{"port", "method", "path", "host", "headers", "status", "body", "keep_alive"}
	case httpsObject:
		return append(httpObject.keys(), certificateKeys()...)
	case tcpObject:
		return []string{"port"}
	case tlsObject:
		return append([]string{"port"}, certificateKeys()...)
	case dnsObject:
		return []string{"name", "type", "port", "tcp", "rcode", "answer"}
	case grpcObject:
		return []string{"port", "service", "tls"}
	case grpcTLSObject:
		return certificateKeys()
	case agentObject:
		return []string{"port", "send"}
	case icmpObject:
		return nil
	case aliveObject:
		return []string{"interval", "fall"}
	case vipObject:
		return slices.Concat([]string{"name", "prefix", "prefixes", "addresses", "check", "mode", "failback", "on_all_down", "bgp"}, tierNames(), []string{"disabled", "weights"})
	case failbackObject:
		return []string{"after", "between", "time_zone"}
	case routerObject:
		return append(drivers(), "change_limit")
	case linuxObject:
		return []string{"table", "metric", "protocol", "adopt", "flow_limit", "resilient"}
	case ciscoObject:
		return []string{
			"address", "port", "user", "key_file", "password", "enable", "known_hosts", "host_key", "legacy_algorithms",
			"dialect", "vrf", "tag", "distance", "adopt", "strategy", "save", "keep_session", "timeout", "poll",
		}
	case bgpObject:
		return []string{
			"asn", "router_id", "peers", "communities", "med", "local_pref", "prepend", "origin",
			"graceful_restart", "at_exit", "graceful_shutdown", "listen_port",
		}
	case peerObject:
		return []string{
			"address", "asn", "port", "password", "multihop", "ttl_security", "passive", "source",
			"hold_time", "connect_retry", "families", "bfd",
		}
	case restartObject:
		return []string{"time", "long_lived"}
	case bfdObject:
		return []string{"interval", "multiplier"}
	case ownObject:
		return []string{"communities", "med", "local_pref", "prepend", "origin"}
	case secretObject:
		return []string{"file", "env", "credential"}
	case policyObject:
		return []string{
			"failback", "on_all_down", "max_unavailable", "correlated", "witness",
			"drain_timeout", "drain_idle", "drain_udp", "drain_reminder",
		}
	case windowObject:
		return []string{"servers", "at", "for", "time_zone", "reason"}
	case limitObject:
		return []string{"changes", "per"}
	case pathsObject:
		return []string{"mark", "table", "priority"}
	case notifyObject:
		return append([]string{"name", "on", "group_wait", "group_interval"}, notifierKinds()...)
	case notifyOnObject:
		return []string{"severity", "kinds", "servers", "vips", "resolved"}
	case notifyExecObject:
		return []string{"command", "timeout"}
	case webhookObject:
		return []string{"url", "secret", "headers", "template", "ca_file", "timeout"}
	case emailObject:
		return []string{"smtp", "from", "to", "user", "password", "tls", "ca_file", "timeout"}
	case webObject:
		return []string{"listen", "read", "tls", "tokens"}
	case webTLSObject:
		return []string{"cert_file", "key_file", "client_ca_file"}
	case tokenObject:
		return append(secretObject.keys(), "servers")
	default:
		return nil
	}
}

// planned returns the drivers that a later version will know.
func (o object) planned() []string {
	if o == routerObject {
		return []string{"exec"}
	}
	return nil
}

// checkKinds are the keys of a check that say how to probe; one is needed.
func checkKinds() []string {
	return []string{"http", "https", "tcp", "tls", "dns", "grpc", "icmp", "agent", "script"}
}

// checkTerms are the keys of a check that all kinds have in common.
func checkTerms() []string {
	return []string{"interval", "fast_interval", "standby_interval", "timeout", "rise", "fall", "through", "watch"}
}

// certificateKeys are those that say what a certificate must be like.
func certificateKeys() []string { return []string{"server_name", "ca_file", "min_days", "skip_verify"} }

// drivers are the keys of a router that say how it is driven; one is needed.
func drivers() []string { return []string{"linux", "cisco", "bgp"} }

// notifierKinds are the keys of a notifier that say how it tells; one is needed.
func notifierKinds() []string { return []string{"exec", "webhook", "email"} }

// tierNames are a VIP's tiers, in order of preference.
func tierNames() []string { return []string{"primary", "backup", "backup2", "backup3"} }
