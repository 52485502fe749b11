package topology

import (
	"slices"
	"time"
)

// readRouters reads the section routers.
func (r *reader) readRouters(f fields) {
	tables := map[int]RouterName{}
	speaker, heard := RouterName(""), false
	for _, e := range section(f, "routers", "router", "edge: {linux: {}}") {
		router, ok := readRouter(RouterName(e.name), e.value)
		heard = heard || router.BGP != nil
		if !ok {
			continue
		}
		if i := slices.IndexFunc(r.site.Servers, func(s Server) bool { return s.ViaInet6 }); router.Cisco != nil && i >= 0 {
			e.key.problem("router %s cannot send IPv4 by IPv6, as server %s wants it (via_inet6)", router.Name, r.site.Servers[i].Name)
			continue
		}
		if router.Linux != nil {
			if other, taken := tables[router.Linux.Table]; taken {
				e.key.problem("routers %s and %s both steer table %d of this machine: they would undo each other's work",
					other, router.Name, router.Linux.Table)
				continue
			}
			tables[router.Linux.Table] = router.Name
		}
		if router.BGP != nil {
			if speaker != "" {
				e.key.problem("routers %s and %s would both be announced to by BGP: there is one speaker; give %[1]s the peers of both", speaker, router.Name)
				continue
			}
			speaker = router.Name
		}
		r.site.Routers = append(r.site.Routers, router)
	}
	if !heard {
		r.unheard()
	}
}

// unheard notes attributes of VIPs that nobody is told.
func (r *reader) unheard() {
	for _, d := range r.drafts {
		if d.BGP != nil {
			d.bgpAt.problem("bgp is for routers with the driver bgp, and there is none")
		}
	}
}

// readRouter reads one router: a mapping of one driver.
func readRouter(name RouterName, c cursor) (Router, bool) {
	router := Router{Name: name}
	if c.isNull() || c.isMap() && len(c.node.Content) == 0 {
		c.problem("router %s has no driver, write %s: {linux: {}}", name, name)
		return router, false
	}
	all, ok := c.entries("a mapping with a driver, such as {linux: {}}")
	if !ok {
		return router, false
	}
	if i := slices.IndexFunc(all, func(e entry) bool { return e.name == "change_limit" }); i >= 0 {
		router.ChangeLimit, ok = readChangeLimit(all[i].value)
		all = slices.Delete(all, i, i+1)
		if len(all) == 0 {
			c.problem("router %s has no driver, write %s: {linux: {}, change_limit: …}", name, name)
		}
	}
	for i, e := range all {
		if i > 0 {
			e.key.problem("router %s has two drivers, %s and %s: a router has one", name, shorten(all[0].name), shorten(e.name))
			ok = false
		}
		ok = knownDriver(e) && ok
	}
	if !ok || len(all) == 0 {
		return router, false
	}
	switch driver := all[0]; driver.name {
	case "linux":
		router.Linux, ok = readLinux(driver.value)
	case "cisco":
		router.Cisco, ok = readCisco(driver.value)
	case "bgp":
		router.BGP, ok = readBGP(driver.value)
	}
	return router, ok
}

// readChangeLimit reads {changes: 100, per: 1m}.
func readChangeLimit(c cursor) (ChangeLimit, bool) {
	const want = "a mapping such as {changes: 100, per: 1m}"
	limit := ChangeLimit{}
	f, ok := c.fields(limitObject, want)
	if !ok {
		return limit, false
	}
	if given := f.given("changes", "per"); len(given) < 2 {
		f.missing([]string{"changes", "per"}, "expected %s", want)
		return limit, false
	}
	ok = setInt(f, "changes", &limit.Changes, 1, 1000000)
	return limit, setDuration(f, "per", &limit.Per, time.Second, 24*time.Hour) && ok
}

// knownDriver notes a driver that this version lacks.
func knownDriver(e entry) bool {
	switch {
	case slices.Contains(drivers(), e.name):
		return true
	case slices.Contains(routerObject.planned(), e.name):
		e.key.unavailable(e.name)
	default:
		e.key.unknown("driver", shorten(e.name), drivers())
	}
	return false
}
