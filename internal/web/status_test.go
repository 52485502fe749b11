package web

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

// largeStatus is a site of 1,000 VIPs on 50 servers.
func largeStatus() api.Status {
	status := api.Status{Version: "v1"}
	for i := range 50 {
		server := api.Server{Name: fmt.Sprintf("web%d", i), Health: "up"}
		for v := range 1000 {
			server.Targets = append(server.Targets, api.Target{
				VIP: fmt.Sprintf("10.0.%d.%d/32", v/250, v%250), Check: "default", Health: "up", Since: time.Unix(int64(v), 0), LastCheck: time.Unix(int64(v), 0), TookMs: 1.5, Rise: 2,
			})
		}
		status.Servers = append(status.Servers, server)
	}
	return status
}

func TestStatusInBriefHasATagAndNothingThatIsWell(t *testing.T) {
	w := enter(t)
	w.offer(topology.ReadAnyone)
	w.operator.status = api.Status{Servers: []api.Server{{Name: "web1", Targets: []api.Target{
		{VIP: "well", Health: "up", LastCheck: time.Now()}, {VIP: "ill", Health: "down", LastCheck: time.Now()}, {VIP: "doubted", Health: "up", Trend: "falling 1/3"},
	}}}}
	path := api.StatusPath + "?brief=true"
	first := w.ask("GET", path, "")
	tag := first.header.Get("ETag")
	if strings.Contains(first.body, "well") || !strings.Contains(first.body, "ill") || !strings.Contains(first.body, "doubted") || tag == "" {
		t.Fatalf("%v %s", first.header, first.body)
	}
	if got := w.ask("GET", path, "", "If-None-Match: "+tag); got.status != 304 || got.body != "" {
		t.Errorf("nothing has changed, and it answers %d %s", got.status, got.body)
	}
	w.operator.mu.Lock()
	w.operator.status.Frozen = "too many"
	w.operator.mu.Unlock()
	w.operator.happen("a freeze")
	for got := first; !strings.Contains(got.body, "too many"); { // the event is on its way to the hub
		got = w.ask("GET", path, "", "If-None-Match: "+tag)
	}
	if got := w.ask("GET", api.StatusPath, ""); !strings.Contains(got.body, "well") {
		t.Errorf("in full it lacks what is well: %s", got.body)
	}
	if got := w.ask("GET", api.StatusPath+"?breif=true", ""); got.status != 400 {
		t.Errorf("an unknown parameter: %d", got.status)
	}
}

func TestStatusIsCompressedForWhoAsks(t *testing.T) {
	w := enter(t)
	w.operator.status = largeStatus()
	w.offer(topology.ReadAnyone)
	got := w.ask("GET", api.StatusPath, "", "Accept-Encoding: gzip, br")
	if got.header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%v", got.header)
	}
	reader, err := gzip.NewReader(strings.NewReader(got.body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(reader)
	var status api.Status
	if err != nil || json.Unmarshal(text, &status) != nil || len(status.Servers) != 50 {
		t.Errorf("%v, %d bytes", err, len(text))
	}
	t.Logf("%d bytes, compressed %d", len(text), len(got.body))
}

// TestManyWhoAskAtOnceAreOneLook at the controller.
func TestManyWhoAskAtOnceAreOneLook(t *testing.T) {
	w := enter(t)
	w.offer(topology.ReadAnyone)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if got := w.ask("GET", api.StatusPath, ""); got.status != 200 {
				t.Errorf("%+v", got)
			}
		})
	}
	all.Wait()
	if w.operator.looks > 3 {
		t.Errorf("50 pages cost %d looks", w.operator.looks)
	}
}
