package iostest_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/drivers/cisco/iostest"
)

var update = flag.Bool("update", false, "write the transcripts instead of comparing them")

// scripts are what an operator types on each dialect.
var scripts = map[string][]string{
	"ios": {
		"enable", "secret", "terminal length 0", "terminal width 511", "terminal no monitor", "show privilege",
		"conf t",
		"ip route 10.1.1.0 255.255.255.224 10.0.0.1 tag 77 name routesteer-web1",
		"ip route 10.1.1.0 255.255.255.224 10.0.0.2 name routesteer-web2",
		"do show ip route 10.1.1.0 255.255.255.224",
		"no ip route 10.1.1.0 255.255.255.224 10.0.0.1 tag 77 name routesteer-web1",
		"no ip route 10.1.1.0 255.255.255.224 10.0.0.1",
		"ip route 10.1.1.0/27 10.0.0.1",
		"ip route 10.1.1.1 255.255.255.224 10.0.0.1",
		"ip route 10.1.1.0 255.255.255.253 10.0.0.1",
		"ip route 10.1.1.0 255.255.255.224",
		"ip route 10.1.1.0 255.255.255.224 10.0.0.1 t 5",
		"ip route 10.1.1.0 255.255.255.224 10.0.0.1 bogus",
		"ip route 10.1.1.0 255.255.255.224 10.0.0.254",
		"ip route vrf RED 10.1.2.0 255.255.255.0 GigabitEthernet0/2 10.0.0.1 10 permanent",
		"ip route vrf BLUE 10.1.2.0 255.255.255.0 10.0.0.1",
		"ipv6 route 2001:db8::1/128 2001:db8:0:1::1 5",
		"do show ipv6 route 2001:db8::1/128",
		"! a comment", "", "end",
		"sh run | i ^ip route|^ipv6 route", "sh run | section ^line", "sh r", "bogus", "ip route 1 2", "show ip route 10.9.9.9 255.255.255.255",
		"show configuration lock", "write memory", "copy running-config startup-config", "", "exit",
	},
	"nxos": {
		"terminal length 0", "configure terminal",
		"ip route 10.1.1.0/27 10.0.0.1 name routesteer-web1 tag 5 10",
		"ip route 10.1.1.0/27 10.0.0.2 name routesteer-web2 10",
		"ip route 10.1.1.0 255.255.255.224 10.0.0.1",
		"vrf context RED", "ip route 10.1.2.0/24 10.0.0.1", "no ip route 10.1.2.0/24",
		"vrf context BLUE", "show ip route 10.1.1.0/27", "show ip route 10.1.2.0/24 vrf RED", "end",
		"show running-config | include '^ip(v6)* route'", "show running-config | include ^ip route",
		"show running-config | section '^vrf context'", "show ip route 10.9.9.0/24",
		"copy running-config startup-config", "write memory", "exit",
	},
	"eos": {
		"terminal length 0", "terminal width 32767", "configure terminal",
		"ip route 10.1.1.0/27 10.0.0.1 tag 5 name routesteer-web1",
		"ip route 10.1.1.0/27 10.0.0.2",
		"ip route vrf RED 10.1.2.0/24 Ethernet1 10.0.0.1 23",
		"no ip route 10.9.9.0/24 10.0.0.1", "bogus", "ip route 10.1.1.0/27", "do show ip route 10.1.1.0/27",
		"show ip route vrf RED 10.1.2.0/24", "end", "show running-config | include ^ip route|^ipv6 route", "write memory", "exit",
	},
	"iosxr": {
		"terminal length 0", "terminal monitor disable", "show running-config router static", "configure terminal",
		"router static", "address-family ipv4 unicast",
		"10.1.1.0/27 10.0.0.1 tag 10 description routesteer-web1", "10.1.1.0/27 10.0.0.2", "10.1.1.1/27 10.0.0.2", "10.1.1.0/27 bogus",
		"do show route ipv4 unicast 10.1.1.0/27", "show configuration", "commit", "commit", "do show route ipv4 unicast 10.1.1.0/27",
		"no 10.1.1.0/27 10.0.0.1", "end", "", "end", "no",
		"configure terminal", "router static", "vrf RED", "address-family ipv6 unicast",
		"2001:db8::1/128 2001:db8:0:1::1", "end", "yes",
		"configure terminal", "router static", "address-family ipv4 unicast", "10.1.3.0/24 10.0.0.254", "commit",
		"show configuration failed", "clear", "exit", "exit", "exit", "show running-config router static", "write memory", "exit",
	},
}

func TestADialogueIsThatOfTheDialect(t *testing.T) {
	for dialect, lines := range scripts {
		t.Run(dialect, func(t *testing.T) {
			o := iostest.Options{Dialect: dialect, VRFs: []string{"RED"}, MOTD: "Welcome\n", Own: own}
			if dialect == "ios" {
				o.Enable = "secret"
			}
			with(t, o, func(t *testing.T, _ *iostest.Router, c *client) {
				golden(t, dialect, c.heard()+c.types(lines...))
			})
		})
	}
}

// golden compares a transcript with the one in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = visible(got)
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the transcript differs from %s:\n%s", path, got)
	}
}

// visible drops blanks at line ends, which editors and reviewers do not see.
func visible(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n"
}
