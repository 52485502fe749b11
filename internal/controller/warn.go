package controller

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// warn lists what an operator should look at, most urgent first.
func (v view) warn(in steer.Input, status *api.Status) []string {
	warnings := []string{}
	add := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	if status.Frozen != "" {
		add("%s", status.Frozen)
	}
	for _, entry := range v.site.Entries() {
		cohort := v.cohorts.Of(entry.VIP.Prefix)
		want := v.want.For(cohort)
		if want.Cause != steer.Unclaimed && !slices.ContainsFunc(cohort.Servers(), func(name topology.ServerName) bool { return in.Eligible(name, cohort) }) {
			add("%s has no eligible server: %s", label(entry), want.Why)
		} else if want.Frozen && status.Frozen == "" {
			add("%s is left where it is: %s", label(entry), want.Why)
		}
	}
	if words := v.deaf(in); words != "" {
		add("%s", words)
	}
	warnings = append(warnings, v.willWarnings(status)...)
	for _, router := range status.Routers {
		if router.Error != "" {
			add("router %s is out of sync: %s", router.Name, router.Error)
		}
		if n := len(router.Fighting); n > 0 {
			add("router %s fights with another program for %s%s: %s", router.Name, router.Fighting[0], andMore(n-1), fightText)
		}
		if router.Cuts != "" {
			add("router %s: planned moves cut connections: %s", router.Name, router.Cuts)
		}
		for _, problem := range router.Problems {
			add("router %s: %s", router.Name, problem)
		}
		for _, foreign := range router.Foreign {
			add("router %s: %s", router.Name, foreign)
		}
	}
	for _, server := range status.Servers {
		warnings = append(warnings, serverWarnings(server)...)
	}
	if !status.Config.Failed.IsZero() {
		add("the last reload was refused: %s", status.Config.Problems[0])
	}
	for _, part := range slices.Sorted(maps.Keys(v.troubles)) {
		add("%s: %s", part, v.troubles[part])
	}
	if v.unkept != "" {
		add("%s", v.unkept)
	}
	return append(warnings, v.warnings...)
}

// deafAfter is how long no witness is heard before that is a warning.
const deafAfter = 5 * time.Second

// deaf says that no witness is heard, before one is needed.
func (v view) deaf(in steer.Input) string {
	witnesses := v.site.Policy.Witness
	if len(witnesses) == 0 || in.Now.Sub(later(in.Witness.Heard, v.config.Loaded)) < deafAfter {
		return ""
	}
	return fmt.Sprintf("no witness (%s) is heard: until one is, failures move nothing", strings.Join(texts(witnesses), ", "))
}

// willWarnings reminds of what operators may have forgotten, and of pins that do not hold.
func (v view) willWarnings(status *api.Status) []string {
	var warnings []string
	for _, vip := range status.VIPs {
		switch {
		case vip.Pin == nil:
		case vip.Pin.Void != "":
			warnings = append(warnings, fmt.Sprintf("%s is pinned to %s, but %s", vip.Prefix, vip.Pin.Server, vip.Pin.Void))
		case vip.Pin.Force && !slices.Contains(vip.Eligible, vip.Pin.Server):
			warnings = append(warnings, fmt.Sprintf("%s is pinned by force to %s, which cannot carry it: %s", vip.Prefix, vip.Pin.Server, vip.Why))
		}
		for _, off := range vip.Off {
			warnings = append(warnings, v.remind(off.Server+" of "+vip.Prefix, off.Admin, status.Time)...)
		}
	}
	for _, server := range status.Servers {
		warnings = append(warnings, v.remind(server.Name, server.Admin, status.Time)...)
	}
	return append(warnings, v.forgotten()...)
}

// forgotten tells of drains and pins that ask for nothing, because the file has no such
// server or VIP any more.
func (v view) forgotten() []string {
	var warnings []string
	add := func(what, command string) {
		warnings = append(warnings, fmt.Sprintf("%s, which %s does not know: `routesteer %s` forgets it", what, v.site.File, command))
	}
	for _, name := range slices.Sorted(maps.Keys(v.intent.Drains)) {
		if _, known := v.site.Server(name); !known {
			add(fmt.Sprintf("%s is drained", name), fmt.Sprintf("undrain %s", name))
		}
	}
	for _, prefix := range slices.SortedFunc(maps.Keys(v.intent.Off), steer.ComparePrefix) {
		vip, known := v.site.VIP(prefix)
		for _, name := range slices.Sorted(maps.Keys(v.intent.Off[prefix])) {
			if !known || vip.Entry != prefix || !slices.Contains(vip.Servers(), name) {
				add(fmt.Sprintf("%s is drained of %s", name, prefix), fmt.Sprintf("undrain %s --vip %s", name, prefix))
			}
		}
	}
	for _, prefix := range slices.SortedFunc(maps.Keys(v.intent.Pins), steer.ComparePrefix) {
		if vip, known := v.site.VIP(prefix); !known || vip.Entry != prefix {
			add(fmt.Sprintf("%s is pinned", prefix), fmt.Sprintf("unpin %s", prefix))
		}
	}
	return warnings
}

// remind is a warning of a drain that is old and does not end by itself.
func (v view) remind(what string, admin api.Admin, now time.Time) []string {
	limit := v.site.Policy.DrainReminder
	if admin.State != "drain" || limit == 0 || !admin.Until.IsZero() || now.Sub(admin.Since) < limit {
		return nil
	}
	by := ""
	if admin.By != "" {
		by = " by " + admin.By
	}
	return []string{fmt.Sprintf("%s has been drained%s for %s: is it forgotten?", what, by, now.Sub(admin.Since).Round(time.Minute))}
}

func andMore(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

// unfit says which VIPs a server cannot carry, those that fail alike together.
func unfit(server api.Server) []string {
	var whys []string
	vips := map[string][]string{}
	for _, target := range server.Targets {
		if target.Health != health.Down.String() {
			continue
		}
		if vips[target.Why] == nil {
			whys = append(whys, target.Why)
		}
		vips[target.Why] = append(vips[target.Why], target.VIP)
	}
	for i, why := range whys {
		whys[i] = fmt.Sprintf("%s cannot carry %s%s: %s", server.Name, vips[why][0], andMore(len(vips[why])-1), why)
	}
	return whys
}

// notices are what checks noticed that passed, each once.
func notices(server api.Server) []string {
	var all []string
	for _, target := range server.Targets {
		text := server.Name + ": " + target.Notice
		if target.Notice != "" && !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

func serverWarnings(server api.Server) []string {
	var warnings []string
	if server.Health == "mixed" {
		warnings = unfit(server)
	}
	for _, target := range server.Targets {
		if target.Trend != "" && target.Health == health.Up.String() {
			warnings = append(warnings, fmt.Sprintf("%s is %s for %s: %s", server.Name, target.Trend, target.VIP, target.Why))
		}
	}
	warnings = append(warnings, notices(server)...)
	if server.Health == health.Down.String() {
		warnings = append(warnings, fmt.Sprintf("%s is down: %s", server.Name, server.Why))
	}
	if server.Echo == string(health.EchoFiltered) {
		warnings = append(warnings, fmt.Sprintf("%s does not answer echo although its checks pass: is ICMP filtered?", server.Name))
	}
	return warnings
}
