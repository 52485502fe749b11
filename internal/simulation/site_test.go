package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// A draft is a configuration file in the making, which operators change while a
// story goes on.
type draft struct {
	servers []draftServer
	checks  string
	vips    []draftVIP
	routers []string // "edge: {linux: {}}"
	policy  string
	windows string // maintenance: ""
	count   int    // VIPs ever drafted
}

type draftServer struct {
	number, weight int
	cards          int // addresses
}

func (s draftServer) name() string { return fmt.Sprintf("web%d", s.number) }

type draftVIP struct {
	number, prefixes int
	check            string
	tiers            [][]string
	rest             string // mode and policy, as in the file
}

// newDraft drafts a site of up to 5 servers, 5 entries of VIPs and 3 routers.
func newDraft(dice *rand.Rand) *draft {
	d := &draft{}
	for range 2 + dice.IntN(4) {
		d.addServer(dice)
	}
	d.checks = draftChecks(dice)
	for range 1 + dice.IntN(5) {
		d.addVIP(dice)
	}
	d.routers = []string{"core: {linux: {}}"}
	if dice.IntN(2) == 0 {
		d.routers = append(d.routers, "edge: {cisco: {address: 192.0.2.1, key_file: /key, poll: "+pick(dice, "10s", "1m")+"}}")
	}
	if dice.IntN(4) == 0 {
		d.routers = append(d.routers, "fast: {linux: {table: 100, adopt: true}"+pick(dice, "", ", change_limit: {changes: 2, per: 20s}")+"}")
	}
	d.policy = draftPolicy(dice)
	d.maintain(dice)
	return d
}

// maintain drafts a maintenance window within the first hours of a story's days, or
// none. Their first one begins at midnight.
func (d *draft) maintain(dice *rand.Rand) {
	d.windows = ""
	if dice.IntN(3) == 0 {
		d.windows = fmt.Sprintf("maintenance: [{servers: %s, at: \"daily %02d:%02d\", for: %dm}]\n",
			d.servers[dice.IntN(len(d.servers))].name(), dice.IntN(2), dice.IntN(60), 1+dice.IntN(10))
	}
}

func pick[T any](dice *rand.Rand, all ...T) T { return all[dice.IntN(len(all))] }

func draftChecks(dice *rand.Rand) string {
	times := pick(dice, "", "", ", interval: 500ms, fast_interval: 100ms, standby_interval: 3s", ", interval: 5s, fast_interval: 1s, timeout: 2s")
	return fmt.Sprintf("  web: {http: {port: 80}, rise: %d, fall: %d, watch: %t%s}\n  own: {tcp: 25, through: address%s}\n  word: {agent: {port: 9}%s}\n  both: {all: [web, own]}\n  either: {any: [web, own]}\n",
		1+dice.IntN(3), 1+dice.IntN(4), dice.IntN(3) > 0, times, times, times)
}

func draftPolicy(dice *rand.Rand) string {
	policy := "failback: " + draftFailback(dice) + ", on_all_down: " + pick(dice, "keep", "keep", "withdraw", "first_tier") + ", drain_timeout: 2m, drain_idle: 10s, correlated: " + pick(dice, "act", "act", "freeze")
	if dice.IntN(4) == 0 {
		policy += ", max_unavailable: " + pick(dice, "1", "2", "50%")
	}
	if dice.IntN(4) == 0 {
		policy += ", witness: 203.0.113.1"
	}
	return policy
}

func draftFailback(dice *rand.Rand) string {
	return pick(dice, "{after: 60s}", "{after: 60s}", "{after: 10s}", "{after: 10s, between: \"00:10-00:20\", time_zone: UTC}", "immediate", "manual", "never")
}

func (d *draft) addServer(dice *rand.Rand) {
	number := 1
	for slices.ContainsFunc(d.servers, func(s draftServer) bool { return s.number == number }) {
		number++
	}
	d.servers = append(d.servers, draftServer{number: number, weight: 1 + dice.IntN(3), cards: pick(dice, 1, 1, 1, 2)})
}

func (d *draft) addVIP(dice *rand.Rand) {
	d.count++
	vip := draftVIP{number: d.count, prefixes: pick(dice, 1, 1, 2, 3), check: pick(dice, "web", "web", "own", "word", "both", "either")}
	vip.arrange(d, dice)
	d.vips = append(d.vips, vip)
}

// arrange gives the VIP tiers and a policy, anew.
func (v *draftVIP) arrange(d *draft, dice *rand.Rand) {
	v.tiers = make([][]string, 3)
	for _, i := range dice.Perm(len(d.servers)) {
		tier := pick(dice, 0, 0, 1, 1, 2)
		v.tiers[tier] = append(v.tiers[tier], d.servers[i].name())
	}
	v.rest = pick(dice, "", "", "", ", mode: ecmp")
	if dice.IntN(3) == 0 {
		v.rest += ", failback: " + draftFailback(dice)
	}
	if dice.IntN(4) == 0 {
		v.rest += ", on_all_down: " + pick(dice, "keep", "withdraw", "first_tier")
	}
}

// change is one change of the file that an operator may make; it says which.
func (d *draft) change(dice *rand.Rand) string {
	switch vip := &d.vips[dice.IntN(len(d.vips))]; dice.IntN(10) {
	case 0:
		d.addServer(dice)
		return "one more server"
	case 1:
		if len(d.servers) > 2 {
			gone := dice.IntN(len(d.servers))
			d.servers = slices.Delete(d.servers, gone, gone+1)
			d.windows = ""
		}
		return "one server less"
	case 2:
		d.addVIP(dice)
		return "one more VIP"
	case 3:
		if len(d.vips) > 1 {
			gone := dice.IntN(len(d.vips))
			d.vips = slices.Delete(d.vips, gone, gone+1)
		}
		return "one VIP less"
	case 4:
		vip.arrange(d, dice)
		return "other tiers of a VIP"
	case 5:
		d.policy = draftPolicy(dice)
		return "another policy"
	case 6:
		d.checks = draftChecks(dice)
		return "other checks"
	case 7:
		d.servers[dice.IntN(len(d.servers))].weight = 1 + dice.IntN(3)
		return "another weight"
	case 8:
		d.maintain(dice)
		return "another maintenance window"
	default:
		return "nothing new"
	}
}

// text is the file.
func (d *draft) text() string {
	var b strings.Builder
	b.WriteString("servers:\n")
	for _, s := range d.servers {
		addresses := fmt.Sprintf("192.0.2.%d", 10+s.number)
		if s.cards > 1 {
			addresses += fmt.Sprintf(", 198.51.100.%d", 10+s.number)
		}
		fmt.Fprintf(&b, "  %s: {addresses: [%s], weight: %d}\n", s.name(), addresses, s.weight)
	}
	b.WriteString("checks:\n" + d.checks + "vips:\n")
	for _, v := range d.vips {
		b.WriteString("  - {prefixes: [")
		for i := range v.prefixes {
			fmt.Fprintf(&b, "10.64.%d.%d/27, ", v.number, 32*i)
		}
		fmt.Fprintf(&b, "], check: %s%s%s}\n", v.check, d.tiers(v), v.rest)
	}
	b.WriteString("routers:\n")
	for _, r := range d.routers {
		b.WriteString("  " + r + "\n")
	}
	return b.String() + "policy: {" + d.policy + "}\n" + d.windows
}

// tiers are those of the VIP's tiers that have servers left.
func (d *draft) tiers(v draftVIP) string {
	text, names := "", []string{"primary", "backup", "backup2"}
	for _, tier := range v.tiers {
		tier = slices.DeleteFunc(slices.Clone(tier), func(name string) bool {
			return !slices.ContainsFunc(d.servers, func(s draftServer) bool { return s.name() == name })
		})
		if len(tier) > 0 {
			text += ", " + names[0] + ": [" + strings.Join(tier, ", ") + "]"
			names = names[1:]
		}
	}
	return text
}
