package web

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

// watchersVariable makes this test's binary a hundred browsers: it holds the URL.
const watchersVariable = "ROUTESTEER_TEST_WATCHERS"

const watchers = 100

// TestAHundredWatchersCostLittle: browsers in another process watch a site of 1,000
// VIPs on 50 servers, and read the status again, in brief, whenever they are told to.
// That costs less than two whole statuses; a brief one for each would cost many.
func TestAHundredWatchersCostLittle(t *testing.T) {
	if url := os.Getenv(watchersVariable); url != "" {
		browse(t, url)
		return
	}
	w := enter(t)
	w.operator.status = largeStatus()
	for i := range 1000 {
		w.operator.status.VIPs = append(w.operator.status.VIPs, api.VIP{Prefix: fmt.Sprintf("10.0.%d.%d/32", i/250, i%250), Wanted: []string{"web1"}, Why: "web1 is its home", Eligible: []string{"web1"}})
	}
	w.offer(topology.ReadAnyone)
	browsers := exec.Command(os.Args[0], "-test.run", "^TestAHundredWatchersCostLittle$", "-test.timeout", "5m")
	browsers.Env = append(os.Environ(), watchersVariable+"="+w.url)
	told, err := browsers.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := browsers.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(told)
	if !lines.Scan() || lines.Text() != "watching" {
		t.Fatalf("the browsers say %q", lines.Text())
	}
	began, used := time.Now(), processorTime(t)
	const changes = 5
	for range changes {
		w.operator.happen("a change")
		for range watchers { // have read the status
			if !lines.Scan() || lines.Text() != "read" {
				t.Fatalf("the browsers say %q", lines.Text())
			}
		}
	}
	each := (processorTime(t) - used) / changes
	t.Logf("each change costs %s of a processor for %d watchers; all had read it after %s", each, watchers, time.Since(began)/changes)
	if one := costOf(t, w.operator); each > 2*one {
		t.Errorf("a change costs %s of a processor, and one whole status %s", each, one)
	}
	_ = browsers.Process.Kill() // it has done its part
	_ = browsers.Wait()
}

// costOf is the processor's time that it takes to make a status: the least of several.
func costOf(t *testing.T, operator api.Operator) time.Duration {
	t.Helper()
	least := time.Hour
	for range 5 {
		began := processorTime(t)
		status, err := operator.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(status); err != nil {
			t.Fatal(err)
		}
		least = min(least, processorTime(t)-began)
	}
	t.Logf("one status costs %s", least)
	return least
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// browse is a hundred browsers. It says "watching" when all are told of changes, and
// "read" for each that has read the status since.
func browse(t *testing.T, url string) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: watchers, DisableCompression: true}}
	var ready, all sync.WaitGroup
	ready.Add(watchers)
	read := make(chan string, watchers)
	for range watchers {
		all.Go(func() {
			defer func() { read <- "gone" }()
			response, err := client.Get(url + api.StreamPath)
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			lines, first := bufio.NewScanner(response.Body), true
			for lines.Scan() {
				if lines.Text() != "event: state" {
					continue
				}
				if !first {
					readStatus(client, url)
					read <- "read"
					continue
				}
				first = false
				ready.Done()
			}
		})
	}
	ready.Wait()
	fmt.Println("watching")
	for text := range read {
		fmt.Println(text)
	}
	all.Wait()
}

func readStatus(client *http.Client, url string) {
	request, err := http.NewRequest("GET", url+api.StatusPath+"?brief=true", nil)
	if err != nil {
		return
	}
	request.Header.Set("Accept-Encoding", strings.Join([]string{"gzip", "deflate", "br"}, ", "))
	response, err := client.Do(request)
	if err != nil {
		return
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
}
