package metrics

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// promtool is Prometheus' own, unpacked by scripts/test-tools.
const promtool = "../../build/hosts/prometheus/usr/bin/promtool"

var update = flag.Bool("update", false, "rewrite the list in docs/metrics.md")

// TestWhatAScraperGets is a sample of the values of a site with everything.
func TestWhatAScraperGets(t *testing.T) {
	m, _ := newMetrics(t)
	text := scrape(t, m, "").Body.String()
	for _, want := range []string{
		`routesteer_build_info{goversion="go`,
		`routesteer_config_info{file="site.yaml",hash="0123456789abcdef"} 1`,
		`routesteer_config_last_reload_successful 1`,
		`routesteer_steering 1`,
		`routesteer_checks_total{check="web",result="failed",server="web1"} 1`,
		`routesteer_check_duration_seconds_bucket{check="web",server="web1",le="0.001"} 2`,
		`routesteer_check_duration_seconds_bucket{check="web",server="web1",le="0.05"} 3`,
		`routesteer_check_duration_seconds_bucket{check="web",server="web1",le="+Inf"} 4`,
		`routesteer_check_duration_seconds_sum{check="web",server="web1"} 60.032`,
		`routesteer_target_up{check="web",server="web2",vip="203.0.113.32/27"} 0`,
		`routesteer_server_up{server="web2"} 0`,
		`routesteer_server_admin_state{server="web1",state="drain"} 1`,
		`routesteer_server_admin_state{server="web1",state="ready"} 0`,
		`routesteer_server_drain_start_timestamp_seconds{server="web1"} 1.7723664e+09`,
		`routesteer_server_vips{server="web1"} 3`,
		`routesteer_vips 3`,
		`routesteer_vips_without_eligible_server 2`,
		`routesteer_vips_held 2`,
		`routesteer_vip_server_info{name="shop",server="web1",vip="203.0.113.32/27"} 1`,
		`routesteer_vip_in_sync{name="",vip="203.0.113.64/32"} 0`,
		`routesteer_router_in_sync{driver="bgp",router="edge"} 1`,
		`routesteer_router_session_up{peer="192.0.2.1",router="edge"} 0`,
		`routesteer_router_apply_errors_total{router="edge"} 1`,
		`routesteer_transitions{router="edge"} 2`,
		`routesteer_transition_connections{router="edge"} 5`,
		`routesteer_moves_total{cause="failover"} 3`,
		`routesteer_verdict_changes_total{server="web2",to="down"} 1`,
		`routesteer_freezes_total 1`,
		`routesteer_detect_to_route_seconds_bucket{cause="failover",router="edge",le="0.025"} 1`,
		`go_goroutines `,
		`process_resident_memory_bytes `,
	} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("lacks %s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestNamesAreAsPrometheusWantsThem, by its own linter, as promtool check metrics.
func TestNamesAreAsPrometheusWantsThem(t *testing.T) {
	m, _ := newMetrics(t)
	text := scrape(t, m, "").Body.Bytes()
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		if strings.HasPrefix(problem.Metric, "routesteer_") {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = bytes.NewReader(ours(text))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

// ours leaves out what the library shows of Go and the process.
func ours(text []byte) []byte {
	var lines [][]byte
	for line := range bytes.Lines(text) {
		if bytes.Contains(line, []byte("routesteer_")) {
			lines = append(lines, line)
		}
	}
	return bytes.Join(lines, nil)
}

// TestEveryMetricIsShown holds the catalogue to a real scrape, both ways.
func TestEveryMetricIsShown(t *testing.T) {
	m, _ := newMetrics(t)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(scrape(t, m, "").Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, metric := range m.all {
		family := families[metric.Name]
		if family == nil {
			t.Errorf("%s is in the catalogue and not shown", metric.Name)
			continue
		}
		if got := strings.ToLower(family.GetType().String()); got != metric.Kind {
			t.Errorf("%s is shown as a %s and called a %s", metric.Name, got, metric.Kind)
		}
	}
	for name := range families {
		known := slices.ContainsFunc(m.all, func(m *metric) bool { return m.Name == name })
		if strings.HasPrefix(name, "routesteer_") && !known {
			t.Errorf("%s is shown and not in the catalogue", name)
		}
	}
}

// TestDocsListEveryMetric holds docs/metrics.md to the catalogue.
func TestDocsListEveryMetric(t *testing.T) {
	const path, begin, end = "../../docs/metrics.md", "<!-- list -->\n", "<!-- end of list -->\n"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	got, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatal("docs/metrics.md has no place for the list")
	}
	var want strings.Builder
	want.WriteString("| metric | kind | labels | what |\n|---|---|---|---|\n")
	for _, m := range newCatalogue().all {
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", m.Name, m.Kind, strings.Join(m.Labels, ", "), m.Help)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != want.String() {
		t.Errorf("docs/metrics.md lists other metrics than the code; go test ./internal/metrics -run Docs -update rewrites it")
	}
}

// TestALargeSiteIsShownInSums unless it is asked for otherwise.
func TestALargeSiteIsShownInSums(t *testing.T) {
	m, operator := newMetrics(t)
	operator.status = largeStatus(10000)
	perVIP := regexp.MustCompile(`(?m)^routesteer_(vip_|target_)`)
	for query, want := range map[string]int{"": 0, "?vips=sum": 0, "?vips=each": 3*10000 + 2*10000} {
		if got := len(perVIP.FindAllString(scrape(t, m, query).Body.String(), -1)); got != want {
			t.Errorf("%q: %d series for each VIP, want %d", query, got, want)
		}
	}
	if got := scrape(t, m, "?vips=all").Code; got != 400 {
		t.Errorf("vips=all: %d", got)
	}
}

// TestManyScrapersAreOneLook at the controller, in whatever form they ask.
func TestManyScrapersAreOneLook(t *testing.T) {
	m, operator := newMetrics(t)
	for range 20 {
		scrape(t, m, "")
		if got := scrape(t, m, "", "Accept-Encoding: gzip").Header().Get("Content-Encoding"); got != "gzip" {
			t.Errorf("compressed as %q", got)
		}
	}
	if operator.looks > 2 {
		t.Errorf("40 scrapes cost %d looks", operator.looks)
	}
}

func TestOpenMetricsForWhoPrefersIt(t *testing.T) {
	m, _ := newMetrics(t)
	got := scrape(t, m, "", "Accept: application/openmetrics-text; version=1.0.0,text/plain;q=0.5")
	if !strings.HasPrefix(got.Header().Get("Content-Type"), "application/openmetrics-text; version=1.0.0") || !strings.HasSuffix(got.Body.String(), "# EOF\n") {
		t.Errorf("%v: …%s", got.Header(), got.Body.String()[got.Body.Len()-100:])
	}
}

// TestWhatIsGoneIsNotShown: a server that a reload took away keeps no series.
func TestWhatIsGoneIsNotShown(t *testing.T) {
	m, operator := newMetrics(t)
	operator.status.Servers, operator.status.Routers = operator.status.Servers[:1], nil
	text := scrape(t, m, "").Body.String()
	if strings.Contains(text, `routesteer_verdict_changes_total{server="web2"`) || strings.Contains(text, `routesteer_detect_to_route_seconds_count{`) {
		t.Error("web2 and edge are still shown")
	}
}

// TestAScrapeTakesAsLongAsTheSiteIsLarge, and no longer: how long that is,
// BenchmarkScrape tells.
func TestAScrapeTakesAsLongAsTheSiteIsLarge(t *testing.T) {
	m, operator := newMetrics(t)
	least := map[int]time.Duration{}
	for range 5 {
		for _, vips := range []int{1250, 10000} { // in turn, so that a busy machine slows both down
			operator.status = largeStatus(vips)
			clear(m.shown)
			began := time.Now()
			scrape(t, m, "")
			if took := time.Since(began); least[vips] == 0 || took < least[vips] {
				least[vips] = took
			}
		}
	}
	t.Logf("%v", least)
	if least[10000] > 24*least[1250] { // 8 times as many; a square would be 64
		t.Errorf("a scrape of 1,250 VIPs takes %s, of 10,000 %s", least[1250], least[10000])
	}
}

func BenchmarkScrape(b *testing.B) {
	for _, query := range []string{"", "?vips=each"} {
		b.Run("10000VIPs"+query, func(b *testing.B) {
			m, operator := newMetrics(b)
			operator.status = largeStatus(10000)
			for b.Loop() {
				clear(m.shown)
				b.SetBytes(int64(scrape(b, m, query).Body.Len()))
			}
		})
	}
}
