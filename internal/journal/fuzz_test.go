package journal

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/routesteer/routesteer/api"
)

// FuzzScan holds that whatever is in the file, what is read from it are events in
// order, and that these can be written and read again.
func FuzzScan(f *testing.F) {
	good := `{"seq":1,"time":"2026-03-01T12:00:00Z","severity":"notice","kind":"admin","server":"web1","from":"ready","to":"drain"}` + "\n"
	f.Add([]byte(good), uint64(0))
	f.Add([]byte(good+`{"seq":2,"time":"2026-03-01T12:00:01Z","kind":"route","took_ms":1.5}`+"\n"+`{"seq":3,"time":"2026-`), uint64(1))
	f.Add([]byte("\n\n{}\nnull\n[1]\n\"\"\n\x00\xff\n"), uint64(0))
	f.Add([]byte(`{"seq":-1,"kind":"x"}`+"\n"+`{"seq":1e3,"time":"2026-03-01T12:00:00Z","kind":"admin"}`+"\n"), uint64(0))
	f.Fuzz(func(t *testing.T, data []byte, after uint64) {
		last := after
		var events []api.Event
		more, err := scan(bytes.NewReader(data), after, func(event api.Event) bool {
			if event.Seq <= last {
				t.Errorf("%d follows %d", event.Seq, last)
			}
			last = event.Seq
			events = append(events, event)
			return true
		})
		if err != nil || !more {
			t.Fatalf("got %v, %v", more, err)
		}
		for _, event := range events {
			text, err := json.Marshal(event)
			if err != nil {
				continue // a year that RFC 3339 does not have
			}
			again, ok := parse(text)
			if !ok || !again.Time.Equal(event.Time) {
				t.Fatalf("%s is not read again", text)
			}
			again.Time = event.Time
			if !reflect.DeepEqual(again, event) {
				t.Errorf("got %+v, want %+v", again, event)
			}
		}
	})
}
