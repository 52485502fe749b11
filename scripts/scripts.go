// Package scripts holds the shell scripts that this project gives to other
// hosts, so that the program can hand them out.
package scripts

import _ "embed"

//go:embed loopback-setup
var loopbackSetup string

// LoopbackSetup is the text of scripts/loopback-setup, a POSIX shell script
// that puts VIPs on the loopback of the host it runs on; see its --help. The
// line "baked=" may be given a list of addresses, which it uses when it is
// run without any.
func LoopbackSetup() string { return loopbackSetup }
