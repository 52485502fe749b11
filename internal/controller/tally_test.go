package controller_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/api"
)

// TestWhatIsCounted are check results by server and check, and how often routers were
// told to change routes; what a reload takes away is forgotten.
func TestWhatIsCounted(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		tally := func() *api.Tally {
			t.Helper()
			tally, err := w.control.Tally(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return tally
		}
		of := func(all *api.Tally, server string) api.CheckTally {
			t.Helper()
			i := slices.IndexFunc(all.Checks, func(c api.CheckTally) bool { return c.Server == server && c.Check == "web" })
			if i < 0 {
				t.Fatalf("nothing is counted of %s: %+v", server, all)
			}
			return all.Checks[i]
		}
		before := tally()
		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		after := tally()
		web1, was := of(after, "web1"), of(before, "web1")
		if web1.Failed != was.Failed+1 || web1.Passed != was.Passed || web1.Took.Count() != web1.Passed+web1.Failed {
			t.Errorf("one check of web1 failed; before %+v, after %+v", was, web1)
		}
		edge, wasEdge := after.Routers[1], before.Routers[1]
		if edge.Router != "edge" || edge.Took.Count() != wasEdge.Took.Count()+1 || edge.Failed != 0 {
			t.Errorf("edge was told once; before %+v, after %+v", wasEdge, edge)
		}
		w.file = strings.ReplaceAll(strings.Replace(article, ", web4: 192.0.2.14", "", 1), "core: {linux: {table: 100}}", "")
		if _, err := w.control.Reload(t.Context(), api.ReloadRequest{}); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if last := tally(); len(last.Routers) != 1 || len(last.Checks) != 3 || of(last, "web1").Failed <= was.Failed {
			t.Errorf("after the reload: %+v", last)
		}
	})
}
