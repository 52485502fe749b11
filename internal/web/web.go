// Package web is the controller's door for browsers, scrapers and programs on
// other machines: the API of package api over HTTP or HTTPS, a stream of events
// for browsers, /metrics, and a page.
//
// Nothing listens unless the site's file says so (http.listen), and a reload
// changes what does. Whatever becomes of the door, steering goes on: what is wrong
// with it is logged once, warned of in status, and tried again every few seconds.
//
// Who asks is known by a token (RFC 6750) or a client certificate, never by a
// cookie, so that no other site can make a browser ask in somebody's name. What
// needs which is in need.go.
package web

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

// refresh is how often files of tokens and certificates are read again, and a
// listener that could not be opened is tried again.
const refresh = 5 * time.Second

// Options are what Serve is made of. All fields are needed.
type Options struct {
	Sites    iter.Seq[*topology.Site] // the site that runs, and each one after a reload
	Operator api.Operator
	Page     http.Handler                           // at /; files alone, that anybody may have
	Metrics  http.Handler                           // at /metrics
	Warn     func(ctx context.Context, text string) // makes status warn; "" ends it
	Log      *slog.Logger
}

// Serve offers what the site's file says until ctx ends. It returns when all
// that it started has ended.
func Serve(ctx context.Context, options Options) {
	d := newDoor(options)
	sites := make(chan *topology.Site)
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { hand(ctx, options.Sites, sites) })
	parts.Go(func() { d.hub.run(ctx, options.Operator) })
	defer d.close()
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case site := <-sites:
			d.wanted = site.Web
		case <-tick.C:
		}
		d.tell(ctx, d.apply(ctx))
	}
}

// hand moves sites to a channel until ctx ends.
func hand(ctx context.Context, from iter.Seq[*topology.Site], to chan<- *topology.Site) {
	for site := range from {
		select {
		case to <- site:
		case <-ctx.Done():
			return
		}
	}
}

// A door is what Serve knows. Its fields belong to Serve's goroutine.
type door struct {
	options Options
	hub     *hub
	handler *handler
	wanted  topology.Web // by the file
	open    *listening   // nil for none
	leaving sync.WaitGroup
	told    string // the last trouble
}

func newDoor(options Options) *door {
	hub := newHub()
	return &door{options: options, hub: hub, handler: newHandler(options, hub)}
}

// apply makes things as wanted, as far as it can, and returns what is wrong.
func (d *door) apply(ctx context.Context) error {
	if !d.wanted.Listen.IsValid() {
		d.handler.keys.Store(&keys{})
		d.leave()
		return nil
	}
	keys, wrong := readKeys(d.wanted, d.handler.keys.Load())
	d.handler.keys.Store(keys)
	if d.wanted.TLS != nil && keys.tls == nil {
		d.leave() // it is plain, and no longer to be: tokens may come from afar
		return wrong
	}
	return errors.Join(wrong, d.relisten(ctx))
}

// relisten opens the listener that is wanted in place of the one there is. Where
// it cannot, the former goes on, unless it is in the way.
func (d *door) relisten(ctx context.Context) error {
	place := placeOf(d.wanted)
	if d.open != nil && d.open.place == place {
		return nil
	}
	if d.open != nil && d.open.place.listen.Port() == place.listen.Port() {
		d.leave()
	}
	next, err := listen(ctx, place, d.handler, d.options.Log)
	if err != nil {
		return err
	}
	d.leave()
	d.open = next
	d.options.Log.Info("http", "listen", place.listen.String(), "tls", place.tls)
	return nil
}

// leave closes the listener. Requests in progress may end.
func (d *door) leave() {
	if d.open == nil {
		return
	}
	former := d.open
	d.open = nil
	former.stop()
	d.leaving.Go(former.drain)
}

func (d *door) close() {
	d.leave()
	d.leaving.Wait()
}

// tell says what is wrong when that is news.
func (d *door) tell(ctx context.Context, wrong error) {
	text := ""
	if wrong != nil {
		text = wrong.Error()
	}
	if text == d.told {
		return
	}
	d.told = text
	if text != "" {
		d.options.Log.Warn("http", "err", text)
	}
	d.options.Warn(ctx, text)
}
