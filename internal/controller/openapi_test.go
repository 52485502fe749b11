package controller_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/routesteer/routesteer/api"
)

// TestAnswersAreAsTheAPISaysTheyAre: of a real site, lists that are never null, and
// whatever else docs/openapi.yaml promises.
func TestAnswersAreAsTheAPISaysTheyAre(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		validate := schemas(t)
		w.start()
		defer w.stop()
		ctx := t.Context()
		look := func() {
			validate("Status", w.status())
			validate("Status", w.status().Brief())
			validate("Explanation", w.explain("203.0.113.32/27"))
			plan, err := w.control.Plan(ctx)
			validate("Plan", answered(t, plan, err))
			for event, err := range w.control.Events(ctx, api.EventsRequest{}) {
				validate("EventLine", answered(t, &event, err))
			}
		}
		look()
		moved, err := w.control.Drain(ctx, api.DrainRequest{Servers: []string{"web1"}, By: "ann"})
		validate("Moved", answered(t, moved, err))
		w.senses.falls("web2", "connection refused", vip1, vip2)
		w.settle()
		look()
		simulation, err := w.control.Simulate(ctx, api.SimulateRequest{Steps: []string{"down web3"}, Losses: 2})
		validate("Simulation", answered(t, simulation, err))
		moved, err = w.control.Undrain(ctx, api.UndrainRequest{Servers: []string{"web1"}})
		validate("Moved", answered(t, moved, err))
		reloaded, err := w.control.Reload(ctx, api.ReloadRequest{})
		validate("Reloaded", answered(t, reloaded, err))
		transitions, err := w.control.Transitions(ctx, "")
		for _, transition := range *answered(t, &transitions, err) {
			validate("Transition", &transition)
		}
	})
}

func answered[T any](t *testing.T, answer *T, err error) *T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// schemas compares values with the schemas of docs/openapi.yaml.
func schemas(t *testing.T) func(name string, value any) {
	t.Helper()
	text, err := os.ReadFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("openapi.json", asJSON(t, doc)); err != nil {
		t.Fatal(err)
	}
	return func(name string, value any) {
		t.Helper()
		schema, err := compiler.Compile("openapi.json#/components/schemas/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(asJSON(t, value)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// asJSON is a value as whoever asks for it gets it.
func asJSON(t *testing.T, value any) any {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
