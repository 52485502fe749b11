package lab

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// Whatever is moved on purpose, established connections stay whole; also when
// moves overlap. Only a server that is lost takes its own with it.
func TestPlannedMovesBreakNoConnection(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		family Family
		faults []string
	}{
		{IPv4, []string{"drain", "undrain", "drain-twice"}},
		{IPv4, []string{"drain-undrain"}},
		{IPv4, []string{"drain-lose"}},
		{IPv6, []string{"drain-twice", "drain-undrain"}},
		{IPv6, []string{"drain-lose"}},
	} {
		t.Run(string(c.family)+"-"+strings.Join(c.faults, "-"), func(t *testing.T) {
			t.Parallel()
			load := lightLoad()
			load.Established = 120
			var progress bytes.Buffer
			rows, err := Report(t.Context(), ReportOptions{
				Lab:    steered(Options{Base: shortDir(t), Family: c.family}),
				Faults: c.faults, Watch: time.Minute, Load: load,
			}, &progress)
			t.Log("\n" + progress.String())
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				wantConnections(t, row, load.Established)
			}
		})
	}
}

func wantConnections(t *testing.T, row Row, established int) {
	t.Helper()
	if row.Established != established || row.At("web1").Established != established/4 && row.Fault != "undrain" {
		t.Errorf("%s: %d established connections, %+v; want %d, evenly over four servers", row.Fault, row.Established, row.Connections, established)
	}
	for _, server := range row.Connections {
		want := 0
		if row.Fault == "drain-lose" && server.Server == row.Servers[len(row.Servers)-1] {
			want = server.Established + server.Opened
		}
		if server.Broken != want {
			t.Errorf("%s: %d connections to %s broke (%v), want %d: %+v", row.Fault, server.Broken, server.Server, row.BrokenWhy, want, server)
		}
	}
	if row.LastNewOnOldMs == nil {
		t.Errorf("%s: it is not told when the old server got its last new connection", row.Fault)
	}
}

// A tour that lets connections break says so.
func TestATourJudgesConnections(t *testing.T) {
	site, err := PlanSite(IPv4, 2, 2, Switched)
	if err != nil {
		t.Fatal(err)
	}
	drained, crashed := tourStep{title: "drain"}, tourStep{title: "crash", outage: tolerable}
	both := Connections{Servers: []ServerConnections{{Broken: 2}, {Broken: 1}}}
	one := Connections{Servers: []ServerConnections{{Broken: 2}, {}}}
	for _, c := range []struct {
		name string
		step tourStep
		of   Connections
		cuts string
		want string
	}{
		{"a drain breaks some", drained, one, "", "2 established connections"},
		{"a drain breaks some where it must", drained, one, "no nftables", ""},
		{"a crash takes its own", crashed, one, "", ""},
		{"a crash takes others'", crashed, both, "", "1 established connections"},
	} {
		var told bytes.Buffer
		tour := &tour{lab: &Lab{Site: site}, out: &told, cuts: c.cuts}
		tour.judgeConnections(c.step, c.of, "web1")
		if held := len(tour.broken) == 0; held != (c.want == "") || !strings.Contains(told.String(), c.want) {
			t.Errorf("%s: %q, want %q", c.name, told.String(), c.want)
		}
	}
}
