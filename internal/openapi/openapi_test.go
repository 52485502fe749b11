package openapi

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"iter"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/control"
)

const file = "../../docs/openapi.yaml"

var update = flag.Bool("update", false, "write docs/openapi.yaml anew")

func TestTheFileIsAsTheCode(t *testing.T) {
	var want bytes.Buffer
	want.WriteString("# Made from package api by go test ./internal/openapi -update; edit the code.\n")
	encoder := yaml.NewEncoder(&want)
	encoder.SetIndent(2)
	if err := encoder.Encode(node(t, document(t))); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("docs/openapi.yaml is not as the code is; go test ./internal/openapi -update writes it anew")
	}
}

// TestEveryPathIsThere holds the list to the constants of package api.
func TestEveryPathIsThere(t *testing.T) {
	parsed, err := parser.ParseFile(token.NewFileSet(), "../../api/http.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]bool{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if spec, is := n.(*ast.ValueSpec); is && strings.HasSuffix(spec.Names[0].Name, "Path") {
			paths[strings.Trim(spec.Values[0].(*ast.BasicLit).Value, `"`)] = true
		}
		return true
	})
	for _, op := range operations() {
		if !paths[op.path] {
			t.Errorf("%s is described, and package api does not have it", op.path)
		}
		delete(paths, op.path)
	}
	for path := range paths {
		t.Errorf("%s is not described", path)
	}
}

// TestEveryParameterIsThere holds the query of events to what EventsRequest writes.
func TestEveryParameterIsThere(t *testing.T) {
	full := api.EventsRequest{Since: 1, After: time.Now(), Servers: []string{"a"}, VIPs: []string{"a"}, Routers: []string{"a"}, Kinds: []string{"verdict"}, Severity: "info", Last: 1, Follow: true}
	for i, value := 0, reflect.ValueOf(full); i < value.NumField(); i++ {
		if value.Field(i).IsZero() {
			t.Errorf("EventsRequest.%s is not tried", value.Type().Field(i).Name)
		}
	}
	query := full.Query()
	for _, op := range operations() {
		if op.path != api.EventsPath {
			continue
		}
		for _, p := range op.query {
			if !query.Has(p.name) {
				t.Errorf("parameter %s is described, and nobody writes it", p.name)
			}
			query.Del(p.name)
		}
	}
	for name := range query {
		t.Errorf("parameter %s is not described", name)
	}
}

// TestWhatIsServedIsAsDescribed asks for everything, with every field set, and
// compares each answer, in which every field is set, with its schema.
func TestWhatIsServedIsAsDescribed(t *testing.T) {
	handler := control.Handler(full{}, func(context.Context) string { return "somebody" })
	for _, op := range operations() {
		if op.path == api.StreamPath {
			continue // internal/web has it
		}
		query := url.Values{}
		for _, p := range op.query {
			if p.sample != "" {
				query.Set(p.name, p.sample)
			}
		}
		var body []byte
		if op.request != nil {
			body = encode(t, filled(reflect.TypeOf(op.request)).Interface())
			validate(t, op.path+" request", "#/components/schemas/"+reflect.TypeOf(op.request).Name(), body)
		}
		request := httptest.NewRequest(op.method, op.path+"?"+query.Encode(), bytes.NewReader(body))
		request.Header.Set("Content-Type", api.JSONType)
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		if recorder.Code != 200 {
			t.Errorf("%s %s: %d %s", op.method, op.path, recorder.Code, recorder.Body)
			continue
		}
		pointer := "#/paths/" + strings.ReplaceAll(op.path, "/", "~1") + "/" + lower(op.method) + "/responses/200/content/" + strings.ReplaceAll(recorder.Header().Get("Content-Type"), "/", "~1") + "/schema"
		for line := range bytes.Lines(recorder.Body.Bytes()) {
			if len(bytes.TrimSpace(line)) > 0 {
				validate(t, op.path+" answer", pointer, line)
			}
		}
	}
}

// TestErrorsAreAsDescribed, and every status has words.
func TestErrorsAreAsDescribed(t *testing.T) {
	validate(t, "an error", "#/components/schemas/Error", encode(t, filled(reflect.TypeFor[api.Error]()).Interface()))
	for _, op := range operations() {
		for _, status := range op.statuses() {
			if refusalWords()[status] == "" {
				t.Errorf("%s: nobody says what %d means", op.path, status)
			}
		}
	}
}

// validate compares a JSON value with a schema of the file.
func validate(t *testing.T, what, pointer string, text []byte) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("openapi.json", asJSON(t, encode(t, doc))); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("openapi.json" + pointer)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if err := schema.Validate(asJSON(t, text)); err != nil {
		t.Errorf("%s: %v\n%s", what, err, text)
	}
}

func asJSON(t *testing.T, text []byte) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// filled is a value of a type in which nothing is zero.
func filled(t reflect.Type) reflect.Value {
	value := reflect.New(t).Elem()
	switch {
	case t == reflect.TypeFor[time.Time]():
		value.Set(reflect.ValueOf(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)))
	case t == reflect.TypeFor[api.ErrorCode]():
		value.SetString(string(api.Refused))
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			value.Field(i).Set(filled(t.Field(i).Type))
		}
	case t.Kind() == reflect.Slice:
		value = reflect.Append(value, filled(t.Elem()))
	case t.Kind() == reflect.Pointer:
		value.Set(reflect.New(t.Elem()))
		value.Elem().Set(filled(t.Elem()))
	case t.Kind() == reflect.String:
		value.SetString("word")
	case t.Kind() == reflect.Bool:
		value.SetBool(true)
	case value.CanInt():
		value.SetInt(7)
	case value.CanUint():
		value.SetUint(7)
	case value.CanFloat():
		value.SetFloat(1.5)
	}
	return value
}

func filledOf[T any]() *T {
	value := new(T)
	reflect.ValueOf(value).Elem().Set(filled(reflect.TypeFor[T]()))
	return value
}

// full is an operator whose answers lack nothing.
type full struct{}

func (full) Status(context.Context) (*api.Status, error) { return filledOf[api.Status](), nil }
func (full) Plan(context.Context) (*api.Plan, error)     { return filledOf[api.Plan](), nil }
func (full) Drain(context.Context, api.DrainRequest) (*api.Moved, error) {
	return filledOf[api.Moved](), nil
}
func (full) Undrain(context.Context, api.UndrainRequest) (*api.Moved, error) {
	return filledOf[api.Moved](), nil
}
func (full) Pin(context.Context, api.PinRequest) (*api.Moved, error) {
	return filledOf[api.Moved](), nil
}
func (full) Unpin(context.Context, api.UnpinRequest) (*api.Moved, error) {
	return filledOf[api.Moved](), nil
}
func (full) Failback(context.Context, api.FailbackRequest) (*api.Moved, error) {
	return filledOf[api.Moved](), nil
}
func (full) Resume(context.Context, api.ResumeRequest) (*api.Moved, error) {
	return filledOf[api.Moved](), nil
}
func (full) Check(context.Context, string) ([]api.CheckResult, error) {
	return *filledOf[[]api.CheckResult](), nil
}
func (full) Transitions(context.Context, string) ([]api.Transition, error) {
	return *filledOf[[]api.Transition](), nil
}
func (full) Explain(context.Context, string) (*api.Explanation, error) {
	return filledOf[api.Explanation](), nil
}
func (full) Simulate(context.Context, api.SimulateRequest) (*api.Simulation, error) {
	return filledOf[api.Simulation](), nil
}
func (full) Reload(context.Context, api.ReloadRequest) (*api.Reloaded, error) {
	return filledOf[api.Reloaded](), nil
}
func (full) Events(context.Context, api.EventsRequest) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) { yield(*filledOf[api.Event](), nil) }
}
