// Package metrics shows a controller to Prometheus: at /metrics, in the text format
// and OpenMetrics, from a registry of its own.
//
// What is, comes from the status, made once for all scrapers within a second; what
// happened, from the events since the start, and from what the controller counts.
// Nothing of it is asked for unless somebody scrapes, and a scraper that reads slowly,
// or not at all, holds nothing but a connection: all get the same bytes.
//
// A site of more than maxVIPs VIPs is shown in sums; ?vips=each shows each, and
// ?vips=sum none (params in the scrape's configuration). docs/metrics.md lists all
// metrics; a test holds it to the code.
package metrics

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"github.com/routesteer/routesteer/api"
)

const (
	maxVIPs  = 1000             // shown one by one unless it is asked for otherwise
	fresh    = time.Second      // scrapers within it get the same
	patience = 10 * time.Second // for the controller to tell its state
)

// Options are what New is made of. All fields are needed.
type Options struct {
	Operator api.Operator
	Tally    func(context.Context) (*api.Tally, error) // what the controller has counted
}

// Metrics is the handler of /metrics. It is safe for concurrent use.
type Metrics struct {
	options Options
	*catalogue
	happened *happened
	turn     chan struct{} // has room for who reads or makes shown
	shown    map[form]*page
}

// A form is one of the few ways to show the metrics.
type form struct {
	open bool   // OpenMetrics
	vips string // "each", "sum" or "", which is one of them
}

// A page is the metrics in one form.
type page struct {
	made          time.Time
	plain, zipped []byte
}

// New returns the handler of /metrics. Counting begins with Follow.
func New(options Options) *Metrics {
	c := newCatalogue()
	return &Metrics{options: options, catalogue: c, happened: newHappened(c), turn: make(chan struct{}, 1), shown: map[form]*page{}}
}

// Follow counts events until ctx ends.
func (m *Metrics) Follow(ctx context.Context) { m.happened.follow(ctx, m.options.Operator) }

// ServeHTTP implements http.Handler.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "metrics can be read only", http.StatusMethodNotAllowed)
		return
	}
	vips := r.URL.Query().Get("vips")
	if vips != "" && vips != "each" && vips != "sum" {
		http.Error(w, `vips is "each" or "sum"`, http.StatusBadRequest)
		return
	}
	zip := strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
	format := formatOf(r.Header)
	text, err := m.text(r.Context(), format, vips, zip)
	if err != nil {
		http.Error(w, "the controller does not tell its state: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", string(format))
	w.Header().Set("Vary", "Accept-Encoding, Accept")
	if zip {
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(text)))
	_, _ = w.Write(text) // a scraper that has gone needs no answer
}

// formatOf is the text format, or OpenMetrics for who prefers that.
func formatOf(header http.Header) expfmt.Format {
	open, _ := expfmt.NewOpenMetricsFormat(expfmt.OpenMetricsVersion_1_0_0) // a version that there is
	return expfmt.NegotiateAccept(header, expfmt.NewFormat(expfmt.TypeTextPlain), open)
}

// text returns the metrics as they are to be sent.
func (m *Metrics) text(ctx context.Context, format expfmt.Format, vips string, zip bool) ([]byte, error) {
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	key := form{open: format.FormatType() == expfmt.TypeOpenMetrics, vips: vips}
	shown := m.shown[key]
	if shown == nil || time.Since(shown.made) >= fresh {
		var err error
		if shown, err = m.make(ctx, format, vips); err != nil {
			return nil, err
		}
		m.shown[key] = shown
	}
	return shown.text(zip), nil
}

// make puts the metrics into words.
func (m *Metrics) make(ctx context.Context, format expfmt.Format, vips string) (*page, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	made := time.Now()
	status, err := m.options.Operator.Status(ctx)
	if err != nil {
		return nil, err
	}
	tally, err := m.options.Tally(ctx)
	if err != nil {
		return nil, err
	}
	m.happened.become(status)
	each := vips == "each" || vips == "" && len(status.VIPs) <= maxVIPs
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		&state{m.catalogue, status, each}, counted{m.catalogue, tally}, m.happened,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	families, err := registry.Gather()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := expfmt.NewEncoder(&out, format)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return nil, fmt.Errorf("write %s: %w", family.GetName(), err)
		}
	}
	if closer, ok := encoder.(expfmt.Closer); ok {
		if err := closer.Close(); err != nil {
			return nil, err
		}
	}
	return &page{made: made, plain: out.Bytes()}, nil
}

// text is the page, compressed when that is wanted first.
func (p *page) text(zip bool) []byte {
	if !zip {
		return p.plain
	}
	if p.zipped == nil {
		var out bytes.Buffer
		writer, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed) // the level is one that there is
		_, _ = writer.Write(p.plain)                           // a buffer takes all
		_ = writer.Close()
		p.zipped = out.Bytes()
	}
	return p.zipped
}
