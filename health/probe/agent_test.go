package probe

import (
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// agentLines are lines as agents say them, and what they mean.
var agentLines = []struct {
	line    string
	failure string
	said    health.Said
}{
	{"up", "", health.Said{}},
	{"UP", "", health.Said{}},
	{"ready up", "", health.Said{Stay: true}},
	{"ready", "", health.Said{Stay: true}},
	{"up,ready,75%", "", health.Said{Stay: true, Weighs: true, Percent: 75}},
	{"100%", "", health.Said{Weighs: true, Percent: 100}},
	{"\t 1% , up", "", health.Said{Weighs: true, Percent: 1}},
	{"0%", "", health.Said{Weighs: true, Text: "0%"}},
	{"drain", "", health.Said{Leave: true, Text: "drain"}},
	{"up drain 30% # kernel 6.12", "", health.Said{Leave: true, Weighs: true, Percent: 30, Text: "kernel 6.12"}},
	{"maint #", "", health.Said{Leave: true, Text: "maint"}},
	{"drain ready", "", health.Said{Stay: true}},
	{"down", "the agent says down", health.Said{}},
	{"down # disk full", "the agent says down: disk full", health.Said{Text: "disk full"}},
	{"stopped", "the agent says stopped", health.Said{}},
	{"fail #a # b", "the agent says fail: a # b", health.Said{Text: "a # b"}},
	{"up,#50%", "", health.Said{Text: "50%"}},
	{"up maxconn:30", "", health.Said{}},
}

func TestAgentLines(t *testing.T) {
	for _, c := range agentLines {
		got := parseAgent([]byte(c.line))
		if got.said == nil || *got.said != c.said || got.failure != c.failure {
			t.Errorf("%q: %+v and failure %q, want %+v and %q", c.line, got.said, got.failure, c.said, c.failure)
		}
	}
	for line, want := range map[string]string{
		"":                        "the agent said nothing",
		" \t,":                    "the agent said nothing",
		"# all is well":           `no word of the agent protocol in "# all is well"`,
		"SSH-2.0-OpenSSH_9.2p1":   `no word of the agent protocol in "SSH-2.0-OpenSSH_9.2p1"`,
		"HTTP/1.1 200 OK":         `no word of the agent protocol in "HTTP/1.1 200 OK"`,
		"maint#5":                 `no word of the agent protocol in "maint#5"`,
		"-5%":                     `no word of the agent protocol in "-5%"`,
		"\x1b[31mred" + "\u202e%": `no word of the agent protocol in "\x1b[31mred\u202e%"`,
	} {
		if got := parseAgent([]byte(line)); got.said != nil || got.failure != want {
			t.Errorf("%q: %+v and failure %q, want none and %q", line, got.said, got.failure, want)
		}
	}
}

// FuzzAgent holds that no line panics, that what it means is within bounds, and
// that nothing of it can upset a terminal.
func FuzzAgent(f *testing.F) {
	for _, c := range agentLines {
		f.Add([]byte(c.line))
	}
	f.Add([]byte("drain # \x1b[31m" + strings.Repeat("é", 500)))
	f.Fuzz(func(t *testing.T, line []byte) {
		a := parseAgent(line)
		if a.said == nil {
			if a.failure == "" {
				t.Errorf("%q passes without a word", line)
			}
			return
		}
		s := *a.said
		if s.Leave && s.Stay || s.Percent < 0 || s.Percent > 100 || !s.Weighs && s.Percent != 0 {
			t.Errorf("%q means %+v", line, s)
		}
		for _, text := range []string{s.Text, a.failure} {
			bad := strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
			if bad || !utf8.ValidString(text) || utf8.RuneCountInString(text) > 2*maxAgentText {
				t.Errorf("%q says %q", line, text)
			}
		}
	})
}

// TestHAProxyReadsTheSame has HAProxy ask agents that say these lines, and holds
// that it makes of its servers what we make of ours.
func TestHAProxyReadsTheSame(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	dir := t.TempDir()
	socket := filepath.Join(dir, "stats")
	var config strings.Builder
	fmt.Fprintf(&config, "global\n nbthread 1\n maxconn 100\n stats socket %s\ndefaults\n mode tcp\n timeout connect 1s\n timeout server 1s\n timeout client 1s\n"+
		"frontend none\n bind 127.0.0.1:9\nbackend agents\n", socket)
	for i, c := range agentLines {
		l.accept(l.servers[0], uint16(8000+i), func(conn net.Conn) { _, _ = io.WriteString(conn, c.line+"\n") })
		fmt.Fprintf(&config, " server s%d 192.0.2.11:80 weight 100 agent-check agent-port %d agent-inter 50ms\n", i, 8000+i)
	}
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("haproxy", "-db", "-f", file) // it tells of each change: too much to show
	if err := l.router.Start(cmd); err != nil {
		t.Fatalf("start haproxy (Debian: apt install haproxy): %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	stats := haproxyStats(t, socket)
	for i, c := range agentLines {
		got := stats[fmt.Sprintf("s%d", i)]
		leave := c.said.Leave || c.said.Weighs && c.said.Percent == 0
		down := c.failure != ""
		weight := 100
		if c.said.Weighs {
			weight = c.said.Percent
		}
		says := got["status"]
		left := strings.HasPrefix(says, "MAINT") || strings.HasPrefix(says, "DRAIN") || got["weight"] == "0"
		switch {
		case left != leave:
			t.Errorf("%q: HAProxy says %s weight %s, we say leave %v (%s, %s)", c.line, says, got["weight"], leave, got["agent_status"], got["last_agt"])
		case !leave && strings.HasPrefix(says, "DOWN") != down:
			t.Errorf("%q: HAProxy says %s, we say down %v (%s, %s)", c.line, says, down, got["agent_status"], got["last_agt"])
		case !leave && got["weight"] != fmt.Sprint(weight):
			t.Errorf("%q: HAProxy says weight %s, we say %d", c.line, got["weight"], weight)
		}
	}
}

// haproxyStats waits until all agents have been asked, of which HAProxy gives no
// news, and returns its table of servers.
func haproxyStats(t *testing.T, socket string) map[string]map[string]string {
	t.Helper()
	look := time.NewTicker(20 * time.Millisecond) // HAProxy tells nobody when it has asked
	defer look.Stop()
	limit := time.After(patience)
	for {
		stats := map[string]map[string]string{}
		asked := 0
		for name, row := range readStats(socket) {
			stats[name] = row
			if state := row["agent_status"]; row["agent_duration"] != "" && state != "" && state != "INI" && !strings.HasPrefix(state, "*") {
				asked++
			}
		}
		if asked == len(agentLines) {
			return stats
		}
		select {
		case <-look.C:
		case <-limit:
			t.Fatalf("HAProxy has asked %d of %d agents", asked, len(agentLines))
		}
	}
}

// readStats reads the table; it is empty while HAProxy starts.
func readStats(socket string) map[string]map[string]string {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return nil
	}
	defer c.Close()
	if _, err := io.WriteString(c, "show stat\n"); err != nil {
		return nil
	}
	rows, err := csv.NewReader(c).ReadAll()
	if err != nil || len(rows) == 0 {
		return nil
	}
	stats := map[string]map[string]string{}
	for _, row := range rows[1:] {
		if row[0] != "agents" || !strings.HasPrefix(row[1], "s") {
			continue
		}
		stats[row[1]] = map[string]string{}
		for i, name := range rows[0] {
			stats[row[1]][name] = row[i]
		}
	}
	return stats
}

func TestAgentThroughTheVIP(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	line := make(chan string, 1)
	heard := make(chan string, 1)
	l.accept(l.servers[0], 1, func(c net.Conn) {
		in := make([]byte, 7)
		_, _ = io.ReadFull(c, in)
		heard <- string(in)
		_, _ = io.WriteString(c, <-line)
	})
	release := make(chan struct{})
	l.accept(l.servers[0], 2, func(c net.Conn) { _, _ = io.WriteString(c, "up"); <-release })
	defer close(release)
	r := l.prober()
	r.set(l.site(unhurried(topology.Check{Agent: &topology.Agent{Port: 1, Send: "status\n"}})))
	for _, c := range []struct {
		line, failure string
		said          *health.Said
	}{
		{"drain # kernel\r\nHTTP/1.1 nothing more counts", "", &health.Said{Leave: true, Text: "kernel"}},
		{"up", "", &health.Said{}}, // the connection's end ends the line
		{"down # full\n", "the agent says down: full", &health.Said{Text: "full"}},
		{"", "connection closed (waiting for the agent's line)", nil},
		{"\n", "the agent said nothing", nil},
		{strings.Repeat("up ", maxAgentLine), "the agent's line has more than 1024 bytes", nil},
	} {
		for _, target := range []health.Target{web(1, vip4), web(1, vip6)} {
			line <- c.line
			got := r.checkOnce(t.Context(), target)
			if sent := <-heard; sent != "status\n" {
				t.Errorf("the agent was sent %q", sent)
			}
			if got.Failure != c.failure || (got.Said == nil) != (c.said == nil) || c.said != nil && *got.Said != *c.said {
				t.Errorf("%.40q: %+v and failure %q, want %+v and %q", c.line, got.Said, got.Failure, c.said, c.failure)
			}
		}
	}
	for port, want := range map[uint16]string{2: "timeout after 1s (waiting for the agent's line)", 3: "connection refused"} {
		r.set(l.site(manual(topology.Check{Agent: &topology.Agent{Port: port}})))
		if got := r.checkOnce(t.Context(), web(1, vip4)); got.Failure != want || got.Said != nil {
			t.Errorf("port %d: %+v and failure %q, want none and %q", port, got.Said, got.Failure, want)
		}
	}
}

// TestAnAgentIsNotWatched holds that a connection which an agent would close at
// once is not opened beside the checks.
func TestAnAgentIsNotWatched(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	var connections atomic.Int32
	l.accept(l.servers[0], 1, func(c net.Conn) { connections.Add(1); _, _ = io.WriteString(c, "up\n") })
	r := l.prober()
	site := l.site(topology.Check{Agent: &topology.Agent{Port: 1}, Interval: 20 * time.Millisecond, FastInterval: 20 * time.Millisecond, Watch: true})
	site.VIPs = site.VIPs[1:]
	r.set(site)
	for range 20 {
		r.result(web(1, vip4), "pass", passes)
	}
	if n := connections.Load(); n > 22 {
		t.Errorf("%d connections for 20 checks", n)
	}
}
