package web

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

// watch opens a stream; what comes on it is sent message by message.
func (w *world) watch(headers ...string) <-chan string {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	request, err := http.NewRequestWithContext(ctx, "GET", w.url+api.StreamPath, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := w.client.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	if got := response.Header.Get("Content-Type"); response.StatusCode != 200 || got != api.SSEType {
		w.t.Fatalf("%d, %q", response.StatusCode, got)
	}
	messages := make(chan string)
	go func() {
		defer close(messages)
		defer response.Body.Close()
		lines, message := bufio.NewScanner(response.Body), ""
		for lines.Scan() {
			if message += lines.Text() + "\n"; lines.Text() != "" {
				continue
			}
			select {
			case messages <- message:
			case <-ctx.Done():
				return
			}
			message = ""
		}
	}()
	w.t.Cleanup(func() {
		cancel()
		for range messages { // until the goroutine has ended
		}
	})
	return messages
}

// wantMessages reads messages and compares their beginnings.
func wantMessages(t *testing.T, from <-chan string, want ...string) {
	t.Helper()
	for _, prefix := range want {
		if got := receive(t, from); !strings.HasPrefix(got, prefix) {
			t.Fatalf("the message is %q, want %q…", got, prefix)
		}
	}
}

func TestABrowserIsToldOfEachEventAndThatTheStateChanged(t *testing.T) {
	w := enter(t)
	w.offer(topology.ReadAnyone)
	messages := w.watch()
	wantMessages(t, messages, "retry: 2000\n")
	wantMessages(t, messages, "event: state\n")
	w.operator.happen("now")
	wantMessages(t, messages, "id: 1\ndata: {\"seq\":1,", "event: state\ndata: {\"seq\":1}\n")
}

// TestWhoComesBackMissesNothing, by the last event that it got.
func TestWhoComesBackMissesNothing(t *testing.T) {
	w := enter(t)
	w.offer(topology.ReadAnyone)
	for i := range 3 {
		w.operator.happen(fmt.Sprint(i))
	}
	messages := w.watch("Last-Event-ID: 1")
	wantMessages(t, messages, "retry", "id: 2\n", "id: 3\n", "event: state\n")
	if got := w.ask("GET", api.StreamPath+"?since=yesterday", ""); got.status != 400 {
		t.Errorf("since=yesterday: %d", got.status)
	}
}

// TestAStuckWatcherHoldsUpNobody: others are told, more is recorded than is kept for
// it, and it is hung up on.
func TestAStuckWatcherHoldsUpNobody(t *testing.T) {
	w := enter(t)
	web := w.offer(topology.ReadAnyone)
	stuck, err := net.Dial("tcp", web.Listen.String())
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	_ = stuck.(*net.TCPConn).SetReadBuffer(1024)
	fmt.Fprintf(stuck, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", api.StreamPath)
	messages := w.watch()
	wantMessages(t, messages, "retry", "event: state")
	text := strings.Repeat("x", 32<<10)
	for range 600 { // more than the kernel keeps for it
		w.operator.happen(text)
	}
	for seq := 0; seq != 600; {
		fmt.Sscanf(receive(t, messages), "id: %d\n", &seq)
	}
}

func TestAWatcherTooFarBehindIsHungUpOn(t *testing.T) {
	h := newHub()
	for i := range 3 * maxFrames {
		h.add(api.Event{Seq: uint64(i + 1)})
	}
	if _, _, _, behind := h.after(0); !behind {
		t.Error("it is told of frames that are kept no longer")
	}
	frames, next, _, behind := h.after(3*maxFrames - 10)
	if behind || len(frames) != 10 || next != 3*maxFrames || frames[0].seq != 3*maxFrames-9 {
		t.Errorf("%d frames from %v, next %d, behind %v", len(frames), frames[0].seq, next, behind)
	}
	if len(h.frames) >= 2*maxFrames {
		t.Errorf("%d frames are kept", len(h.frames))
	}
}

// TestStreamsEndWithTheListener, so that a reload need not wait for those who watch.
func TestStreamsEndWithTheListener(t *testing.T) {
	w := enter(t)
	w.offer(topology.ReadAnyone)
	messages := w.watch()
	wantMessages(t, messages, "retry", "event: state")
	w.obeys(topology.Web{})
	for range messages { // or the test is hung
	}
}
