package notify

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// alertmanager is a real Alertmanager, from Debian's package, which `make test-tools`
// unpacks; it ends with the test.
func alertmanager(t *testing.T) (url string) {
	t.Helper()
	unpacked, err := filepath.Abs("../../build/hosts/prometheus-alertmanager/usr")
	if err == nil {
		_, err = os.Stat(unpacked + "/bin/prometheus-alertmanager")
	}
	if err != nil {
		t.Fatalf("%v: scripts/test-tools unpacks it", err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(config, []byte("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	// Its templates are where Debian has them: the package is laid over /usr, for this
	// process alone.
	const start = `mount -t overlay -o "lowerdir=$0:/usr" overlay /usr && exec /usr/bin/prometheus-alertmanager "$@"`
	cmd := exec.Command("/bin/sh", "-c", start, unpacked, "--config.file="+config, "--storage.path="+dir, "--web.listen-address="+address, "--cluster.listen-address=")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) { // it tells nobody when it is ready
		response, err := http.Get("http://" + address + "/-/ready")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return "http://" + address
			}
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("Alertmanager is not ready: %v\n%s", err, text)
		}
	}
}

// alerts are those that Alertmanager holds to be active.
func alerts(t *testing.T, url string) []string {
	t.Helper()
	response, err := http.Get(url + "/api/v2/alerts?active=true")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got []alert
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, a := range got {
		texts = append(texts, fmt.Sprintf("%s %s %s: %s", a.Labels["alertname"], a.Labels["severity"], a.Labels["server"], a.Annotations["summary"]))
	}
	return texts
}

func TestAlertmanagerHoldsAlertsUntilTheyEnd(t *testing.T) {
	url := alertmanager(t)
	hook := webhook{topology.Webhook{URL: url + "/api/v2/alerts", Template: topology.TemplateAlertmanager, Timeout: 10 * time.Second}}
	g := newGroup(testConfig("warning"), "edge")
	tell := func() {
		t.Helper()
		if err := hook.send(t.Context(), g.message(time.Now())); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now().Add(-time.Minute)
	g.add(falls(1, now), now)
	g.add(falls(2, now), now)
	tell()
	if got := alerts(t, url); len(got) != 2 || !strings.Contains(strings.Join(got, "\n"), "RoutesteerVerdict warning web1: warning: verdict: web1 203.0.113.32/27 up -> down") {
		t.Errorf("active are %q", got)
	}
	g.add(rises(1, now.Add(time.Second)), now)
	tell()
	if got := alerts(t, url); len(got) != 1 || !strings.Contains(got[0], "web2") {
		t.Errorf("after the end of one, active are %q", got)
	}
}
