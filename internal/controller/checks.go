package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// Check implements api.Operator.
func (c *Controller) Check(ctx context.Context, server string) ([]api.CheckResult, error) {
	var site *topology.Site
	if err := c.do(ctx, func() { site = c.site }); err != nil {
		return nil, err
	}
	return CheckOnce(ctx, c.prober, site, topology.ServerName(server))
}

// CheckOnce checks the VIPs of a server of the site that the prober probes once,
// now; "" stands for all servers. The results are sorted by server and VIP.
func CheckOnce(ctx context.Context, prober Prober, site *topology.Site, server topology.ServerName) ([]api.CheckResult, error) {
	if _, known := site.Server(server); server != "" && !known {
		return nil, unknownServer(site, string(server))
	}
	var targets []health.Target
	var checks []string
	for _, judge := range site.Judges() {
		for _, name := range judge.Servers {
			if server == "" || server == name {
				targets = append(targets, health.Target{Server: name, VIP: judge.VIP.Prefix})
				checks = append(checks, string(judge.VIP.Check))
			}
		}
	}
	answer := make([]api.CheckResult, 0, len(targets))
	for i, result := range checkWholes(ctx, prober, site, targets) {
		answer = append(answer, api.CheckResult{
			Server: string(result.Target.Server), VIP: result.Target.VIP.String(), Check: checks[i],
			OK: result.OK(), Failure: result.Failure, Hint: result.Hint, TookMs: milliseconds(result.Took),
		})
	}
	slices.SortStableFunc(answer, func(a, b api.CheckResult) int { return cmp.Compare(a.Server, b.Server) })
	return answer, nil
}

// checkWholes checks the targets once, now, and returns results in their order. Of
// checks of several it makes all members', each once.
func checkWholes(ctx context.Context, prober Prober, site *topology.Site, targets []health.Target) []health.Result {
	_, parts := site.Probes()
	if len(parts) == 0 {
		return prober.Check(ctx, targets)
	}
	var single []health.Target
	place := map[health.Target]int{} // in single
	ask := func(target health.Target) int {
		at, known := place[target]
		if !known {
			at = len(single)
			place[target], single = at, append(single, target)
		}
		return at
	}
	asked := make([][]int, len(targets)) // places in single
	for i, target := range targets {
		if parts[target.VIP] == nil {
			asked[i] = []int{ask(target)}
		}
		for _, part := range parts[target.VIP] {
			asked[i] = append(asked[i], ask(health.Target{Server: target.Server, VIP: part.VIP, Member: part.Member}))
		}
	}
	results := prober.Check(ctx, single)
	whole := make([]health.Result, len(targets))
	for i, target := range targets {
		whole[i] = wholeOf(site, target, parts[target.VIP], asked[i], results)
	}
	return whole
}

// wholeOf is the result of one target, from the places of its parts'.
func wholeOf(site *topology.Site, target health.Target, parts []topology.Part, places []int, results []health.Result) health.Result {
	if parts == nil {
		return results[places[0]]
	}
	vip, _ := site.VIP(target.VIP)
	check, _ := site.Check(vip.Check)
	of := make([]health.Result, len(places))
	for i, at := range places {
		of[i] = results[at]
	}
	return health.Whole(target, check.Group.Needs, parts, of)
}

// unknownServer is the error of a name that no server of the site has.
func unknownServer(site *topology.Site, name string) error {
	known := make([]string, len(site.Servers))
	for i, server := range site.Servers {
		known[i] = string(server.Name)
	}
	failure := &api.Error{
		Code:    api.NotFound,
		Message: fmt.Sprintf("no server %q in %s", name, site.File),
		Details: []string{"known servers: " + strings.Join(known, ", ")},
	}
	if near := topology.Nearest(name, known); len(near) > 0 {
		failure.Hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return failure
}
