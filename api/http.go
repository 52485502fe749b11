package api

// The paths of the API over HTTP. Each answers with JSON; docs/openapi.yaml
// describes requests and answers.
const (
	StatusPath      = "/v1/status"        // GET: Status
	PlanPath        = "/v1/plan"          // GET: Plan
	DrainPath       = "/v1/drain"         // POST DrainRequest: Moved
	UndrainPath     = "/v1/undrain"       // POST UndrainRequest: Moved
	PinPath         = "/v1/pin"           // POST PinRequest: Moved
	UnpinPath       = "/v1/unpin"         // POST UnpinRequest: Moved
	FailbackPath    = "/v1/failback"      // POST FailbackRequest: Moved
	ResumePath      = "/v1/resume"        // POST ResumeRequest: Moved
	CheckPath       = "/v1/check"         // POST CheckRequest: [CheckResult]
	ReloadPath      = "/v1/reload"        // POST ReloadRequest: Reloaded
	TransitionsPath = "/v1/transitions"   // GET ?server=NAME: [Transition], of all servers without a name
	ExplainPath     = "/v1/explain"       // GET ?vip=WORD: Explanation, of the VIP of that prefix, address or name
	SimulatePath    = "/v1/simulate"      // POST SimulateRequest: Simulation
	EventsPath      = "/v1/events"        // GET with the query of an EventsRequest: an EventLine a line
	StreamPath      = "/v1/events/stream" // GET, over the http listener only: server-sent events, for browsers
)

// Media types of bodies and answers.
const (
	JSONType   = "application/json"
	NDJSONType = "application/x-ndjson" // of a stream of events
	SSEType    = "text/event-stream"    // of a stream of events for browsers
)

// A CheckRequest is the body of a POST to CheckPath.
type CheckRequest struct {
	Server string `json:"server,omitempty"`
}

// An EventLine is one line of the stream of events: an event, or the failure
// that ends the stream. Lines that are blank say that the controller is there.
type EventLine struct {
	Event
	Error *Error `json:"error,omitempty"`
}
