package topology

import "time"

// A Check says how a service is probed. Exactly one of the kinds is set, or Group;
// of a check of several, the times and counts are its members'.
type Check struct {
	Name CheckName
	HTTP *HTTP
	TCP  *TCP
	TLS  *TLS
	DNS  *DNS
	GRPC *GRPC
	ICMP *ICMP

	Agent  *Agent
	Script *Script
	Group  *Group

	Interval     time.Duration // between starts of checks; default 1s
	FastInterval time.Duration // the same while a verdict is in doubt; default 200ms, at most Interval
	Timeout      time.Duration // hard limit of one check; default 500ms, at most Interval

	// StandbyInterval is between starts of checks of servers that are up and carry no
	// traffic of the VIP; default 10s, or Interval if that is longer; at least Interval.
	StandbyInterval time.Duration

	Rise    int     // consecutive successes before up; default 2
	Fall    int     // consecutive failures before down; default 3
	Through Through // default vip; of a check of several: address if all of its members are so
	Watch   bool    // hold an idle connection that tells of a dead process; default true; false for kinds without one
}

// A Group is a check of several others, none of them of several itself. It is up
// when Needs of them are, and down when fewer than Needs can be: all or any of
// them, or a quorum.
type Group struct {
	Needs int
	Of    []CheckName // in the order of the file, each once
}

// Through says to which address a check is sent.
type Through string

const (
	ThroughVIP     Through = "vip"     // the VIP's address, forced to the server under test
	ThroughAddress Through = "address" // the server's own address
)

// HTTP is a check by one HTTP/1.1 request.
type HTTP struct {
	TLS       bool          // https
	Port      uint16        // default 80, or 443 with TLS
	Method    string        // GET (default) or HEAD
	Path      string        // default /
	Host      string        // Host header; default the address checked
	Headers   []Header      // further request headers, in order
	Status    []StatusRange // acceptable status codes; default 200-399
	Body      string        // text the first 64 KiB of the body must contain; "" accepts any
	KeepAlive bool          // reuse one connection; default a fresh one for each check

	// Certificate is what the server's must be like, with TLS. Its ServerName is that of Host
	// by default.
	Certificate Certificate
}

// A Header is one HTTP request header.
type Header struct{ Name, Value string }

// A StatusRange is an inclusive range of HTTP status codes.
type StatusRange struct{ First, Last int }

// TCP is a check by connecting.
type TCP struct {
	Port uint16
}

// TLS is a check by a TLS handshake.
type TLS struct {
	Port        uint16 // default 443
	Certificate Certificate
}

// A Certificate says what a server's certificate must be like.
type Certificate struct {
	ServerName string // sent (SNI) and verified; default the address checked
	CAFile     string // PEM file of the authorities, read at start and reload; default the system's
	SkipVerify bool   // accept any certificate; default false

	// MinDays is for how many days it must still be valid, or status warns: a check
	// fails only when it is not valid any more. Default 7; 0 with SkipVerify.
	MinDays int
}

// DNS is a check by one query.
type DNS struct {
	Name   string // to ask for: in small letters, from the root ("www.example.com.")
	Type   string // of record: A (default), AAAA, CNAME, MX, NS, PTR, SOA, SRV or TXT
	Port   uint16 // default 53
	TCP    bool   // ask by TCP; default by UDP
	RCode  string // wanted: NOERROR (default), FORMERR, SERVFAIL, NXDOMAIN, NOTIMP or REFUSED
	Answer string // what one record of Type must say, as in a zone file; "" takes any record; a NOERROR without one fails
}

// GRPC is a check by one call of the health service that gRPC defines,
// grpc.health.v1.Health/Check.
type GRPC struct {
	Port    uint16
	Service string       // whose health to ask for; "" (default) stands for the server's
	TLS     *Certificate // nil (default) speaks in plain text
}

// Agent is a check by the words of a program on the server, in HAProxy's
// agent-check protocol.
type Agent struct {
	Port uint16
	Send string // what it is sent first; "" (default) sends nothing
}

// Script is a check by a program, which passes when that exits with 0.
type Script struct {
	Command []string // its absolute path, and arguments; no shell reads it
}

// ICMP is a check by echo.
type ICMP struct{}
