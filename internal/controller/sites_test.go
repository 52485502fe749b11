package controller_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/routesteer/routesteer/api"
)

// TestWhoFollowsTheSiteSeesEachReload, and none that was refused.
func TestWhoFollowsTheSiteSeesEachReload(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		ctx, cancel := context.WithCancel(t.Context())
		var seen []int
		done := make(chan struct{})
		go func() {
			defer close(done)
			for site := range w.control.Sites(ctx) {
				seen = append(seen, len(site.VIPs))
			}
		}()
		synctest.Wait()
		for _, file := range []string{shop, strings.Replace(article, "web1,", "wbe1,", 1), article} {
			w.file = file
			_, _ = w.control.Reload(t.Context(), api.ReloadRequest{})
			w.settle()
		}
		cancel()
		<-done
		if want := []int{2, 1, 2}; !slices.Equal(seen, want) {
			t.Errorf("it saw sites of %v VIPs, want %v", seen, want)
		}
	})
}

func TestATroubleIsAWarningUntilItIsOver(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		for _, text := range []string{"address in use", "no such file", ""} {
			if err := w.control.Warn(t.Context(), "http", text); err != nil {
				t.Fatal(err)
			}
			var want []string
			if text != "" {
				want = []string{"http: " + text}
			}
			if got := w.status().Warnings; !slices.Equal(got, want) {
				t.Errorf("status warns %q, want %q", got, want)
			}
		}
	})
}
