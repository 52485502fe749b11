package topology

import (
	"net/netip"
	"time"
)

// Every default of the file is in this file, and in the documentation of the
// types and schema.json.

// defaultCheckName is the check of a VIP that names none.
const defaultCheckName CheckName = "default"

const defaultWeight = 1

func defaultCheck(name CheckName) Check {
	return Check{
		Name:         name,
		Interval:     time.Second,
		FastInterval: 200 * time.Millisecond,
		Timeout:      500 * time.Millisecond,
		Rise:         2,
		Fall:         3,
		Through:      ThroughVIP,
		Watch:        true,

		StandbyInterval: 10 * time.Second,
	}
}

// builtinCheck is the check named default when the file defines none.
func builtinCheck() Check {
	check := defaultCheck(defaultCheckName)
	check.HTTP = defaultHTTP(false)
	return check
}

func defaultHTTP(tls bool) *HTTP {
	http := &HTTP{
		TLS:    tls,
		Port:   80,
		Method: "GET",
		Path:   "/",
		Status: []StatusRange{{First: 200, Last: 399}},
	}
	if tls {
		http.Port, http.Certificate = 443, defaultCertificate()
	}
	return http
}

func defaultTLS() *TLS { return &TLS{Port: 443, Certificate: defaultCertificate()} }

// defaultCertificate warns when an authority that renews after two thirds of a
// certificate's life has been silent for long.
func defaultCertificate() Certificate { return Certificate{MinDays: 7} }

func defaultDNS() *DNS { return &DNS{Type: "A", Port: 53, RCode: "NOERROR"} }

func defaultAlive() Alive {
	return Alive{Interval: 200 * time.Millisecond, Fall: 3}
}

func defaultFailback() Failback {
	return Failback{Mode: FailbackAfter, After: 60 * time.Second}
}

func defaultPolicy() Policy {
	return Policy{Failback: defaultFailback(), OnAllDown: Keep, Drain: defaultDrain(), Correlated: Freeze, DrainReminder: 24 * time.Hour}
}

func defaultDrain() Drain {
	return Drain{Timeout: 10 * time.Minute, Idle: time.Minute, UDP: UDPNew}
}

func defaultPaths() Paths {
	return Paths{Mark: 0x52530000, Table: 52000, Priority: 5200}
}

func defaultLinux() *Linux {
	return &Linux{Table: tableMain, Protocol: 82, FlowLimit: 1 << 18}
}

// frrTag marks our routes on FRR, which knows no names of routes.
const frrTag = 5253

func defaultCisco() *Cisco {
	return &Cisco{
		Port:       22,
		User:       "routesteer",
		KnownHosts: "/etc/routesteer/known_hosts",
		Dialect:    IOS,
		Distance:   1,
		Strategy:   StrategyReplace,
		Timeout:    30 * time.Second,
		Poll:       time.Minute,
	}
}

// defaultTag marks our routes where they have no name.
func defaultTag(dialect Dialect) uint32 {
	if dialect == FRR {
		return frrTag
	}
	return 0
}

// DefaultCisco is a router of that dialect of which the file says no more; it has
// no address.
func DefaultCisco(dialect Dialect) Cisco {
	cisco := *defaultCisco()
	cisco.Dialect, cisco.Tag = dialect, defaultTag(dialect)
	return cisco
}

func defaultBGP() *BGP {
	return &BGP{
		Attributes: Attributes{LocalPref: 100, Origin: OriginIGP},
		Restart:    Restart{Time: 2 * time.Minute},
		AtExit:     AtExitKeep,
		ListenPort: portBGP,
	}
}

// portBGP is BGP's port: RFC 4271.
const portBGP = 179

func defaultPeer() Peer {
	return Peer{
		Port:         portBGP,
		HoldTime:     90 * time.Second,
		ConnectRetry: 5 * time.Second,
		IPv4:         true,
		IPv6:         true,
	}
}

func defaultBFD() *BFD { return &BFD{Interval: 100 * time.Millisecond, Multiplier: 3} }

// DefaultNumbers are the numbers that a file without paths, and with a router
// that is no more than linux: {}, stands for.
func DefaultNumbers() (Paths, Linux) { return defaultPaths(), *defaultLinux() }

// defaultVIP is a VIP of which the file gives no more than the prefix; its
// tiers depend on the servers.
func defaultVIP(policy Policy) VIP {
	return VIP{
		Check:     defaultCheckName,
		Mode:      Single,
		Failback:  policy.Failback,
		OnAllDown: policy.OnAllDown,
	}
}

// defaultAddress is the address of a VIP that checks talk to: the only one,
// or the first that a host would have.
func defaultAddress(prefix netip.Prefix) netip.Addr {
	if prefix.IsSingleIP() {
		return prefix.Addr()
	}
	return prefix.Addr().Next()
}
