// Package probe is the senses: it checks services, holds watches on them,
// echoes servers, listens to the kernel, and reports what it notices as
// health.News. It decides nothing; verdicts are health.Board's.
//
//	check   one request with a hard deadline, every Interval; FastInterval in doubt, StandbyInterval of standbys
//	watch   an idle TCP connection; when it closes, Fall checks back to back at once
//	alive   an ICMP echo to each server address, all on one socket per family
//	links   the kernel's word that a link is down
//	near    the kernel's word that an address does not tell its Ethernet address
//
// # Paths
//
// A check goes to the VIP's address but must reach one chosen server, whatever
// the routes say. Each server address has a firewall mark, a policy rule and a
// routing table of its own:
//
//	ip rule  priority P+i  fwmark M+i  lookup T+i  protocol 82
//	ip route table T+i  default via ADDRESS  metric 100  protocol 82
//	ip route table T+i  unreachable default  metric 200  protocol 82
//
// Without the last line a mark whose table lost its route falls through to
// table main in silence, and the check asks the wrong server. Numbers come from
// topology.Paths. Rules and routes there that carry protocol 82 are ours, also
// those a killed predecessor left; anything else is never touched, and when it
// is in our way, Set says so.
//
// The kernel is asked where packets on a path go: when it is made, at all news
// of rules, links and addresses, and every five seconds. While someone else's rule
// sends them elsewhere, checks on the path fail and name the rule; they never
// ask the wrong server.
//
// A VIP is checked through the address of the server by which routers reach it, as
// Use says; otherwise through the first that is neither lost nor silent.
//
// # Sockets
//
// For each target and VIP address there is at most one socket for checks and
// one for the watch; besides these, two for echo and a few for netlink.
//
// # Network namespaces
//
// A Prober lives in the network namespace of the thread that called New. In the
// process's own namespace, the usual case, sockets are opened directly; in
// another, by a thread that stays there.
package probe
