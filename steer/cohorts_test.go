package steer_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/steer"
)

func TestWhichVIPsMoveTogether(t *testing.T) {
	for _, situation := range []struct {
		name, check, vip string // of each of 1000 VIPs; %d is its number
		prefixes         bool   // all are of one entry
		least, most      int    // cohorts
		largest          int
	}{
		{"VIPs that are checked one by one move alone", "{tcp: 80}", "primary: web1", false, 1000, 1000, 1},
		{"prefixes of one entry move together", "{tcp: 80}", "primary: web1", true, 1, 1, 1000},
		{"also if their check is of the servers", "{tcp: 80, through: address}", "primary: web1", true, 1, 1, 1000},
		{"VIPs that are judged alike move together", "{tcp: 80, through: address}", "primary: web1, backup: web2", false, 1, 1, 1000},
		{"in ecmp mode, too", "{tcp: 80, through: address}", "primary: [web1, web2], mode: ecmp", false, 1, 1, 1000},
		{"with a choice of servers, in shards", "{tcp: 80, through: address}", "primary: web1", false, 60, 64, 40},
		{"not with VIPs of another policy", "{tcp: 80, through: address}", "primary: web1, backup: web2, failback: {after: %ds}", false, 1000, 1000, 1},
	} {
		t.Run(situation.name, func(t *testing.T) {
			var text strings.Builder
			fmt.Fprintf(&text, "servers: {web1: 192.0.2.11, web2: 192.0.2.12, web3: 192.0.2.13}\nchecks: {default: %s}\nrouters: {edge: {linux: {}}}\nvips:\n", situation.check)
			if situation.prefixes {
				fmt.Fprintf(&text, "- %s\n  prefixes:\n", situation.vip)
			}
			for i := range 1000 {
				address := fmt.Sprintf("10.64.%d.%d", i>>8, i&255)
				if situation.prefixes {
					fmt.Fprintf(&text, "  - %s\n", address)
				} else {
					fmt.Fprintf(&text, "- {prefix: %s, %s}\n", address, strings.ReplaceAll(situation.vip, "%d", fmt.Sprint(i+1)))
				}
			}
			all := steer.NewCohorts(site(t, text.String())).All()
			largest := 0
			for _, cohort := range all {
				largest = max(largest, len(cohort.Prefixes))
			}
			if len(all) < situation.least || len(all) > situation.most || largest > situation.largest {
				t.Errorf("%d cohorts, the largest of %d; want %d to %d, of at most %d", len(all), largest, situation.least, situation.most, situation.largest)
			}
		})
	}
}

// TestCohortsAreDividedOnlyWhereThatDividesSomething: of four VIPs three move together.
func TestCohortsAreDividedOnlyWhereThatDividesSomething(t *testing.T) {
	s := site(t, `
servers: {web1: 192.0.2.11, web2: 192.0.2.12}
checks: {web: {tcp: 80, through: address}, own: {tcp: 80}}
vips:
  - {prefix: 203.0.113.0/27, check: web, primary: web1, backup: web2}
  - {prefix: 203.0.113.32/27, check: web, primary: web1, backup: web2}
  - {prefix: 203.0.113.64/27, check: web, primary: web1, backup: web2}
  - {prefix: 203.0.113.96/27, check: own, primary: web1, backup: web2}
routers: {edge: {linux: {}}}
`)
	together, alone := s.VIPs[1].Prefix, s.VIPs[3].Prefix
	whole := steer.NewCohorts(s)
	if whole.Divide(alone) != whole {
		t.Error("a VIP that moves alone anyhow is set apart")
	}
	divided := whole.Divide(together, alone)
	if n := len(divided.All()); n != 3 || divided.Of(together) == divided.Of(s.VIPs[0].Prefix) {
		t.Errorf("%d cohorts once %s was set apart", n, together)
	}
	if divided.Divide(together) != divided {
		t.Error("what was set apart is set apart again")
	}
	if divided.Divide() != whole {
		t.Error("what was set apart does not go back to where it was")
	}
	if other := divided.Divide(s.VIPs[0].Prefix); other.Of(together) != other.Of(s.VIPs[2].Prefix) {
		t.Errorf("%s stays apart when another one is set apart", together)
	}
}
