package api

import (
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestARequestIsReadAsItWasWritten(t *testing.T) {
	words := func(t *rapid.T, name string, of *rapid.Generator[string]) []string {
		list := rapid.SliceOfN(of, 0, 3).Draw(t, name)
		if len(list) == 0 {
			return nil
		}
		return list
	}
	rapid.Check(t, func(t *rapid.T) {
		want := EventsRequest{
			Since:    rapid.Uint64().Draw(t, "since"),
			Servers:  words(t, "servers", rapid.String()),
			VIPs:     words(t, "VIPs", rapid.String()),
			Routers:  words(t, "routers", rapid.String()),
			Kinds:    words(t, "kinds", rapid.SampledFrom(EventKinds())),
			Severity: rapid.SampledFrom(append(Severities(), "")).Draw(t, "severity"),
			Last:     rapid.IntRange(0, 1<<31-1).Draw(t, "last"),
			Follow:   rapid.Bool().Draw(t, "follow"),
		}
		if rapid.Bool().Draw(t, "dated") {
			want.After = time.Unix(rapid.Int64Range(1, 1<<33).Draw(t, "second"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanosecond")).UTC()
		}
		query, err := url.ParseQuery(want.Query().Encode())
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseEventsQuery(query)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestAQueryThatMeansNothingIsRefusedAndSaysWhy(t *testing.T) {
	for query, want := range map[string]string{
		"since=yesterday":      `parameter "since"`,
		"after=05:00":          `parameter "after"`,
		"kind=verdict&kind=x":  `parameter "kind": "x" is none of controller, config`,
		"severity=bad":         `parameter "severity": "bad" is none of info, notice, warning, critical`,
		"last=-1":              `parameter "last"`,
		"follow=perhaps":       `parameter "follow"`,
		"sincee=1":             `parameter "sincee": unknown`,
		"last=999999999999999": `parameter "last"`,
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseEventsQuery(values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", query, err, want)
		}
	}
}

func TestAServersEventsAreThoseOfItsTrafficToo(t *testing.T) {
	request := EventsRequest{Servers: []string{"web1"}}
	for _, test := range []struct {
		event Event
		want  bool
	}{
		{Event{Kind: VerdictEvent, Server: "web1"}, true},
		{Event{Kind: AdminEvent, Server: "web2,web1"}, true},
		{Event{Kind: AssignmentEvent, From: "web1", To: "web2"}, true},
		{Event{Kind: RouteEvent, From: "web2,web3", To: "web1,web2"}, true},
		{Event{Kind: AssignmentEvent, From: "web11", To: "web2"}, false},
		{Event{Kind: VerdictEvent, Server: "web2", From: "web1"}, false},
		{Event{Kind: ConfigEvent}, false},
	} {
		test.event.Time = time.Unix(1, 0)
		if got := request.Admits(test.event); got != test.want {
			t.Errorf("%+v: got %v, want %v", test.event, got, test.want)
		}
	}
}
