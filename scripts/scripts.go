// Package scripts holds the shell script that this project gives to other
// hosts, so that the program can hand it out.
package scripts

import (
	_ "embed"
	"net/netip"
	"strings"
)

//go:embed loopback-setup
var loopbackSetup string

// LoopbackSetup returns scripts/loopback-setup, a POSIX shell script that puts
// VIPs on the loopback of the host it runs on; see its --help. Without
// arguments it uses the given addresses and format; with neither, it asks for
// addresses and finds out the format. The format must be a plain word.
func LoopbackSetup(format string, vips ...netip.Addr) string {
	words := make([]string, len(vips))
	for i, vip := range vips {
		words[i] = vip.String()
	}
	text := strings.Replace(loopbackSetup, "\nbaked=\n", "\nbaked='"+strings.Join(words, " ")+"'\n", 1)
	return strings.Replace(text, "\nbaked_format=\n", "\nbaked_format="+format+"\n", 1)
}
