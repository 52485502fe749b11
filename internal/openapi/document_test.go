package openapi

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/routesteer/routesteer/api"
)

// An operation is one path and method of the API.
type operation struct {
	method, path string
	id, summary  string
	who          string // may
	query        []parameter
	request      any // of that type; nil for none
	answer       any
	media        string // of the answer, if not JSON
	refusals     []int  // besides those that any may have
}

// A parameter is one of the query.
type parameter struct {
	name, what string
	schema     object
	required   bool
	many       bool // it may be repeated
	sample     string
}

const (
	lookers  = "Whoever may look, by http.read."
	known    = "Any token or client certificate."
	movers   = "Any token, of a limited one for its servers only, or a client certificate."
	changers = "A token without a limit, or a client certificate."
)

// operations are all there are; a test holds the list to the paths of package api.
func operations() []operation {
	text, number := object{"type", "string"}, object{"type", "integer", "format", "int64", "minimum", 0}
	return []operation{
		{method: "GET", path: api.StatusPath, id: "status", summary: "The state of the site, as of now.", who: lookers, answer: api.Status{}, query: []parameter{
			{name: "brief", what: "By HTTP only: leave out targets that are up, settled and have no notice, and what changes though nothing happens. The answer has an ETag then.", schema: object{"type", "boolean", "default", false}},
		}},
		{method: "GET", path: api.ExplainPath, id: "explain", summary: "The whole story of one VIP.", who: lookers, answer: api.Explanation{}, refusals: []int{404}, query: []parameter{
			{name: "vip", what: "Its name, prefix, or an address in it.", schema: text, required: true, sample: "shop"},
		}},
		{method: "GET", path: api.TransitionsPath, id: "transitions", summary: "Moves whose connections are still ending, and of each VIP how its last one ended.", who: lookers, answer: []api.Transition{}, query: []parameter{
			{name: "server", what: "Only those that leave, or left, connections there.", schema: text, sample: "web1"},
		}},
		{method: "GET", path: api.EventsPath, id: "events", summary: "What happened: an event a line, or the failure that ends the stream. Blank lines say that the controller is there.", who: lookers, answer: api.EventLine{}, media: api.NDJSONType, query: []parameter{
			{name: "since", what: "Later than the event of that number. One from the future means all.", schema: number, sample: "1"},
			{name: "after", what: "Later than that time.", schema: object{"type", "string", "format", "date-time"}, sample: "2026-03-01T12:00:00Z"},
			{name: "server", what: "That are about any of these servers, or traffic that comes or goes there.", schema: text, many: true, sample: "web1"},
			{name: "vip", what: "About any of these VIPs: names, prefixes or addresses.", schema: text, many: true, sample: "shop"},
			{name: "router", what: "About any of these routers.", schema: text, many: true, sample: "edge"},
			{name: "kind", what: "Of any of these kinds.", schema: object{"type", "string", "enum", api.EventKinds()}, many: true, sample: "verdict"},
			{name: "severity", what: "At least as grave.", schema: object{"type", "string", "enum", api.Severities()}, sample: "warning"},
			{name: "last", what: "Of those that are kept, only the last so many; 0 for all.", schema: number, sample: "10"},
			{name: "follow", what: "Go on with new ones.", schema: object{"type", "boolean", "default", false}, sample: "false"},
		}},
		{method: "GET", path: api.StreamPath, id: "stream", summary: "Events as they come, for browsers (by HTTP only): messages whose id is the event's number and whose data is an Event. After them comes the message \"state\": what /v1/status says may have changed. Last-Event-ID, or since, has those told again that were missed.", who: lookers, answer: "", media: api.SSEType, query: []parameter{
			{name: "since", what: "The last event that the client got.", schema: number, sample: "1"},
		}},
		{method: "GET", path: api.PlanPath, id: "plan", summary: "What would change now on each router, from a fresh look.", who: known, answer: api.Plan{}},
		{method: "POST", path: api.CheckPath, id: "check", summary: "Check a server's VIPs once, now; without a server, all servers'.", who: known, request: api.CheckRequest{}, answer: []api.CheckResult{}, refusals: []int{404}},
		{method: "POST", path: api.SimulatePath, id: "simulate", summary: "What would become of the site by steps that nobody takes. Nothing changes.", who: known, request: api.SimulateRequest{}, answer: api.Simulation{}, refusals: []int{404}},
		{method: "POST", path: api.DrainPath, id: "drain", summary: "Take servers out of service, once it is proven that others can carry their VIPs. Answers when every router has confirmed, or the time is over.", who: movers, request: api.DrainRequest{}, answer: api.Moved{}, refusals: []int{404, 409}},
		{method: "POST", path: api.UndrainPath, id: "undrain", summary: "Put servers back in service. Traffic returns by the failback policy.", who: movers, request: api.UndrainRequest{}, answer: api.Moved{}, refusals: []int{404, 409}},
		{method: "POST", path: api.PinPath, id: "pin", summary: "Send a VIP to one server for as long as that can carry it.", who: changers, request: api.PinRequest{}, answer: api.Moved{}, refusals: []int{404, 409}},
		{method: "POST", path: api.UnpinPath, id: "unpin", summary: "End a pin. Traffic returns by the failback policy.", who: changers, request: api.UnpinRequest{}, answer: api.Moved{}, refusals: []int{404, 409}},
		{method: "POST", path: api.FailbackPath, id: "failback", summary: "Send traffic back to better servers that are well, without waiting.", who: changers, request: api.FailbackRequest{}, answer: api.Moved{}, refusals: []int{404, 409}},
		{method: "POST", path: api.ResumePath, id: "resume", summary: "Let failures move traffic that came together until now, and were therefore not believed.", who: changers, request: api.ResumeRequest{}, answer: api.Moved{}, refusals: []int{409}},
		{method: "POST", path: api.ReloadPath, id: "reload", summary: "Read the configuration again. A bad file changes nothing.", who: changers, request: api.ReloadRequest{}, answer: api.Reloaded{}, refusals: []int{422}},
	}
}

// refusalWords are what statuses mean. Each comes with an Error.
func refusalWords() map[int]string {
	return map[int]string{
		400: "The request is not as it should be.",
		401: "By HTTP: no token, or a wrong one.",
		403: "By HTTP: the token is not good for this, or the request comes from another site.",
		404: "No such server or VIP; details lists the known ones.",
		409: "Refused: a VIP would be left without a server; details lists them.",
		422: "The file has problems; details lists them.",
		429: "By HTTP: too many wrong tokens or changes; Retry-After says when to come again.",
		500: "A fault of the controller.",
		503: "The controller cannot do this now.",
		504: "Accepted, but not every router has confirmed.",
	}
}

func refusalName(status int) string { return strings.ReplaceAll(http.StatusText(status), " ", "") }

// refusals are the answers that any operation may share.
func refusals(s *schemer) object {
	answers := object{}
	for _, status := range slices.Sorted(maps.Keys(refusalWords())) {
		answers = append(answers, refusalName(status), object{
			"description", refusalWords()[status], "content", object{api.JSONType, object{"schema", s.of(reflect.TypeFor[api.Error]())}},
		})
	}
	return answers
}

// document is the whole file.
func document(t *testing.T) object {
	t.Helper()
	s := newSchemer(t)
	for _, op := range operations() {
		if op.request != nil {
			s.strict[reflect.TypeOf(op.request).Name()] = true
		}
	}
	paths, tokens := object{}, []any{object{"token", []string{}}, object{"certificate", []string{}}}
	for _, op := range operations() {
		paths = append(paths, op.path, object{lower(op.method), op.document(s, tokens)})
	}
	s.of(reflect.TypeFor[api.Error]())
	schemas := object{}
	for _, name := range s.names {
		schemas = append(schemas, name, s.schemas[name])
	}
	return object{
		"openapi", "3.1.0",
		"info", object{
			"title", "routesteer", "version", "1",
			"description", "What an operator can ask of a running controller, on its Unix socket and, where the file says so, by HTTP or HTTPS. " +
				"On the socket there are no tokens: who may connect may all. Durations are Go's (1m30s) or carry their unit in the name. " +
				"Fields may be added; a request with an unknown one is refused.",
		},
		"servers", []any{object{"url", "https://router:8443", "description", "where http.listen says"}},
		"paths", paths,
		"components", object{
			"securitySchemes", object{
				"token", object{"type", "http", "scheme", "bearer", "description", "One of http.tokens."},
				"certificate", object{"type", "mutualTLS", "description", "A client certificate of http.tls.client_ca_file."},
			},
			"responses", refusals(s),
			"schemas", schemas,
		},
	}
}

func (op operation) document(s *schemer, security []any) object {
	if op.who == lookers {
		security = append([]any{object{}}, security...) // nothing is needed with read: anyone
	}
	doc := object{"operationId", op.id, "summary", op.summary, "description", "For: " + op.who, "security", security}
	var parameters []any
	for _, p := range op.query {
		schema := p.schema
		if p.many {
			schema = object{"type", "array", "items", schema}
		}
		parameters = append(parameters, object{"name", p.name, "in", "query", "required", p.required, "description", p.what, "schema", schema})
	}
	if parameters != nil {
		doc = append(doc, "parameters", parameters)
	}
	if op.request != nil {
		doc = append(doc, "requestBody", object{"required", true, "content", object{api.JSONType, object{"schema", s.of(reflect.TypeOf(op.request))}}})
	}
	media := api.JSONType
	if op.media != "" {
		media = op.media
	}
	answers := object{"200", object{"description", "Done.", "content", object{media, object{"schema", s.of(reflect.TypeOf(op.answer))}}}}
	for _, status := range op.statuses() {
		answers = append(answers, strconv.Itoa(status), object{"$ref", "#/components/responses/" + refusalName(status)})
	}
	return append(doc, "responses", answers)
}

// statuses are those that an operation may be refused with, in order.
func (op operation) statuses() []int {
	var all []int
	for _, status := range slices.Sorted(maps.Keys(refusalWords())) {
		own := slices.Contains(op.refusals, status)
		general := status == 400 || status == 401 || status == 403 || status == 429 || status == 500 || status == 503
		moved := status == 504 && reflect.TypeOf(op.answer) == reflect.TypeFor[api.Moved]()
		if own || general || moved {
			all = append(all, status)
		}
	}
	return all
}

func lower(method string) string {
	return map[string]string{http.MethodGet: "get", http.MethodPost: "post"}[method]
}

// node makes YAML of objects, whose order it keeps.
func node(t *testing.T, value any) *yaml.Node {
	t.Helper()
	switch value := value.(type) {
	case object:
		n := &yaml.Node{Kind: yaml.MappingNode}
		if len(value) == 0 {
			n.Style = yaml.FlowStyle
		}
		for _, item := range value {
			n.Content = append(n.Content, node(t, item))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, item := range value {
			n.Content = append(n.Content, node(t, item))
		}
		return n
	default:
		n := &yaml.Node{}
		if err := n.Encode(value); err != nil {
			t.Fatal(err)
		}
		if n.Kind == yaml.SequenceNode {
			n.Style = yaml.FlowStyle
		}
		return n
	}
}
