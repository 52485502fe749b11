package controller_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/routesteer/routesteer/health"
)

// TestWhatPassesWithANoticeIsWarnedOfOnceAndStaysUp holds that a certificate
// which ends soon moves nothing, and that two VIPs which show it are told as one.
func TestWhatPassesWithANoticeIsWarnedOfOnceAndStaysUp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		const ends = `the certificate of "www.example.com" ends on 2026-12-01 00:00 UTC: renew it`
		tell := func(notice string) []string {
			for _, target := range []health.Target{{Server: "web2", VIP: vip1}, {Server: "web2", VIP: vip2}} {
				w.senses.news <- health.Result{Target: target, Started: time.Now(), Notice: notice}
			}
			synctest.Wait()
			return w.status().Warnings
		}
		if got, want := tell(ends), []string{"web2: " + ends}; !slices.Equal(got, want) {
			t.Errorf("warnings %q, want %q", got, want)
		}
		if got := w.status().Servers[1].Health; got != "up" {
			t.Errorf("web2 is %s", got)
		}
		if got := tell(""); len(got) > 0 {
			t.Errorf("warnings %q after it was renewed", got)
		}
	})
}
