package lab

import (
	"bytes"
	"flag"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/internal/frr"
	"github.com/routesteer/routesteer/topology"
)

// unpacked is where scripts/test-tools puts packages that would change this
// machine's network if they were installed.
var unpacked = []string{"../../build/hosts/frr", "../../build/hosts/openssh-server"}

func TestTheControllerReadsWhatTheLabWritesOfARouter(t *testing.T) {
	site, err := PlanSite(IPv4, 4, 4, Switched)
	if err != nil {
		t.Fatal(err)
	}
	running := &frr.Router{Address: netip.MustParseAddrPort("127.0.0.1:22"), User: "routesteer", KeyFile: "/run/lab/key", KnownHosts: "/run/lab/known_hosts"}
	for _, c := range []struct {
		router  router
		profile Profile
		holds   func(topology.Router) bool
	}{
		{&linuxRouter{}, Default, func(r topology.Router) bool { return r.Linux != nil }},
		{&frrRouter{frr: running}, Default, func(r topology.Router) bool {
			return r.Cisco != nil && r.Cisco.Dialect == topology.FRR && r.Cisco.KnownHosts == running.KnownHosts && !r.Cisco.KeepSession
		}},
		{&birdRouter{}, Default, func(r topology.Router) bool { return r.BGP != nil && len(r.BGP.Peers) == 1 }},
		{&frrBGPRouter{}, Default, func(r topology.Router) bool { return r.BGP != nil && r.BGP.Peers[0].Source.IsValid() }},
		{&frrRouter{frr: running}, Fast, func(r topology.Router) bool { return r.Cisco != nil && r.Cisco.KeepSession }},
	} {
		text, err := site.config(c.profile, "never", c.router.config(c.profile))
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := topology.Parse("site.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if !c.holds(parsed.Routers[0]) {
			t.Errorf("%T, profile %s: the controller reads %+v", c.router, c.profile, parsed.Routers[0])
		}
	}
}

func TestARouterThatIsNotSaysWhatThereIs(t *testing.T) {
	_, err := Start(t.Context(), Options{Router: "cisco"})
	wantWords(t, err, "linux, frr, bird, frr-bgp")
	for _, c := range []struct {
		options ReportOptions
		want    string
	}{
		{ReportOptions{Lab: Options{Router: "cisco"}}, "linux, frr"},
		{ReportOptions{Faults: []string{"drain-by-hand"}}, "--router frr"},
	} {
		_, err := Report(t.Context(), c.options, &bytes.Buffer{})
		wantWords(t, err, c.want)
	}
}

// Without a controller the lab sets FRR's routes itself, as an operator would.
func TestAnFRRLabIsTheArticlesSite(t *testing.T) { families(t, testFRRLab) }

func testFRRLab(t *testing.T, family Family) {
	t.Parallel()
	l := start(t, Options{Router: RouterFRR, Unpacked: unpacked, Family: family})
	vip := l.Site.VIPs[0]
	eventually(t, l, vip, "web1")
	route(t, l, vip, "web2")
	eventually(t, l, vip, "web2")
}

// eventually waits for FRR, which installs routes when it finds the time.
func eventually(t *testing.T, l *Lab, vip VIP, server string) {
	t.Helper()
	err := poll(t.Context(), 5*time.Millisecond, vip.Prefix.String()+" at "+server, func() (bool, error) {
		got, err := fetch(l.network.client, vip.Address, short)
		return err == nil && got == server, nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A drain of four prefixes over SSH loses nothing; the article's order in the
// same run does.
func TestReportOfFRR(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		family  Family
		profile Profile
		faults  []string
	}{
		{IPv4, Fast, []string{"drain", "drain-by-hand"}},
		{IPv6, Default, []string{"drain"}},
	} {
		t.Run(string(c.family), func(t *testing.T) {
			t.Parallel()
			// Four of the VIPs are web1's.
			options := steered(Options{Base: shortDir(t), Family: c.family, Profile: c.profile, VIPs: 16, Router: RouterFRR, Unpacked: unpacked})
			var progress bytes.Buffer
			rows, err := Report(t.Context(), ReportOptions{Lab: options, Faults: c.faults, Watch: time.Minute,
				Load: LoadOptions{Requests: 125, Packets: 4000, UDP: []int{0, 4, 8, 12}}}, &progress)
			t.Log("\n" + progress.String())
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				checkFRRRow(t, row)
			}
		})
	}
}

func checkFRRRow(t *testing.T, row Row) {
	if !row.Recovered || row.Router != RouterFRR {
		t.Errorf("%s, router %s: want recovery, on FRR", row, row.Router)
	}
	switch {
	case row.Fault == "drain-by-hand":
		if row.PacketsLost == 0 {
			t.Errorf("%s: want a hole, of a tenth of a second where there is time", row)
		}
	case row.TooBusy():
	case row.PacketsLost > 0 || row.FailedRequests > row.CutRequests:
		t.Errorf("%s: want no loss", row)
	}
}

// all has every kind of router tried with both families and by a tour, as `make soak`
// does. Without it each kind is tried with one, and both families are.
var all = flag.Bool("all", false, "try every kind of router in every way")

func TestToursOfRouters(t *testing.T) {
	kinds := []RouterKind{RouterFRR}
	if *all {
		kinds = append(kinds, RouterBGPD)
	}
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) { tourOf(t, kind) })
	}
}

func tourOf(t *testing.T, kind RouterKind) {
	t.Parallel()
	var story bytes.Buffer
	err := Tour(t.Context(), TourOptions{Lab: steered(Options{Base: shortDir(t), Router: kind, Unpacked: unpacked}), Load: lightLoad()}, &story)
	t.Log("\n" + story.String())
	if err != nil && !strings.Contains(story.String(), "this machine is busy") {
		t.Error(err)
	}
	if !strings.Contains(story.String(), "cannot keep connections") {
		t.Error("the tour does not say that connections are cut")
	}
}

// A drain, an undrain, and kill -9 of the controller lose nothing under load on a
// router that is told by BGP, and by the last no route changes. BGP tells the
// controller nothing of the kernel's routes: the report goes by the kernel.
func TestReportOfBIRD(t *testing.T) { reportOfBGP(t, RouterBIRD, IPv4, "../../build/hosts/bird2") }

func TestReportOfBGPD(t *testing.T) { reportOfBGP(t, RouterBGPD, IPv6, unpacked...) }

func reportOfBGP(t *testing.T, kind RouterKind, family Family, unpacked ...string) {
	t.Parallel()
	families := []Family{family}
	if *all {
		families = []Family{IPv4, IPv6}
	}
	for _, family := range families {
		t.Run(string(family), func(t *testing.T) {
			t.Parallel()
			options := steered(Options{Base: shortDir(t), Family: family, Router: kind, Unpacked: unpacked})
			var progress bytes.Buffer
			rows, err := Report(t.Context(), ReportOptions{Lab: options, Faults: []string{"drain", "undrain", "controller-kill"}, Watch: time.Minute,
				Load: LoadOptions{Requests: 125, Packets: 4000}}, &progress)
			t.Log("\n" + progress.String())
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				switch {
				case !row.Recovered || row.Router != kind:
					t.Errorf("%s, router %s: want recovery, on %s", row, row.Router, kind)
				case row.Fault == "controller-kill" && row.RouteChanges > 0:
					t.Errorf("%s: want no route to change, %d did", row, row.RouteChanges)
				case row.TooBusy():
				case row.PacketsLost > 0 || row.FailedRequests > row.CutRequests:
					t.Errorf("%s: want no loss", row)
				}
			}
		})
	}
}
