package control

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/client"
)

// sequence collects sequence numbers until the events end, and the error.
func sequence(events iter.Seq2[api.Event, error]) (seqs []uint64, err error) {
	for event, err := range events {
		if err != nil {
			return seqs, err
		}
		seqs = append(seqs, event.Seq)
	}
	return seqs, nil
}

func TestEventsKeptAreGivenOnce(t *testing.T) {
	client := client.New(serve(t, &fakeOperator{}))
	for _, test := range []struct {
		name  string
		since uint64
		want  []uint64
	}{
		{"all", 0, []uint64{1, 2, 3}},
		{"since the second", 2, []uint64{3}},
		{"none", 3, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := sequence(client.Events(t.Context(), api.EventsRequest{Since: test.since}))
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %v, %v, want %v", got, err, test.want)
			}
		})
	}
}

func TestFollowingGoesOnUntilTheClientHasEnough(t *testing.T) {
	operator := &fakeOperator{live: make(chan api.Event)}
	client := client.New(serve(t, operator))
	go func() { operator.live <- api.Event{Seq: 4} }()
	var got []uint64
	for event, err := range client.Events(t.Context(), api.EventsRequest{Since: 2, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, event.Seq)
		if event.Seq == 4 {
			break
		}
	}
	if want := []uint64{3, 4}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTheEndOfItsContextIsNoErrorForAFollower(t *testing.T) {
	client := client.New(serve(t, &fakeOperator{live: make(chan api.Event)}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for event, err := range client.Events(ctx, api.EventsRequest{Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if event.Seq == 3 {
			cancel()
		}
	}
}

func TestAFollowerHearsThatTheControllerStopped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.sock")
	stop := serveAt(t, path, &fakeOperator{live: make(chan api.Event)})
	var last error
	for event, err := range client.New(path).Events(t.Context(), api.EventsRequest{Follow: true}) {
		last = err
		if event.Seq == 3 {
			stop()
		}
	}
	want := "the controller on " + path + " has stopped"
	if last == nil || last.Error() != want {
		t.Errorf("got %v, want %s", last, want)
	}
}

func TestAFailureAmongEventsReachesTheClient(t *testing.T) {
	want := &api.Error{Code: api.Unavailable, Message: "the events are gone"}
	for name, since := range map[string]uint64{"after some events": 0, "instead of events": 3} {
		t.Run(name, func(t *testing.T) {
			client := client.New(serve(t, &fakeOperator{err: want}))
			seqs, err := sequence(client.Events(t.Context(), api.EventsRequest{Since: since}))
			if got := (*api.Error)(nil); !errors.As(err, &got) || !reflect.DeepEqual(got, want) {
				t.Errorf("got %v", err)
			}
			if len(seqs) != int(3-since) {
				t.Errorf("got events %v before it", seqs)
			}
		})
	}
}

func TestAPanicAmongEventsBreaksOnlyTheirStream(t *testing.T) {
	client := client.New(serve(t, panicking{&fakeOperator{}}))
	if _, err := sequence(client.Events(t.Context(), api.EventsRequest{})); err == nil {
		t.Error("the stream ended as if all was well")
	}
	if _, err := client.Status(t.Context()); err != nil {
		t.Errorf("the controller is gone: %v", err)
	}
}

// panicking is an operator with a bug in Events.
type panicking struct{ *fakeOperator }

func (panicking) Events(context.Context, api.EventsRequest) iter.Seq2[api.Event, error] {
	return func(func(api.Event, error) bool) { panic("a bug") }
}
