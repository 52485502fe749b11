// Package control is the operator's door to a running controller: HTTP and
// JSON over a Unix socket.
//
// Listen makes the socket, Serve answers on it for an api.Operator, and a
// Client is an api.Operator again on the other side, so that a command cannot
// tell a controller in its own process from one behind the socket.
//
//	GET  /v1/status                     api.Status
//	GET  /v1/plan                       api.Plan
//	POST /v1/drain    api.DrainRequest    api.Moved
//	POST /v1/undrain  api.UndrainRequest  api.Moved
//	POST /v1/pin      api.PinRequest      api.Moved
//	POST /v1/unpin    api.UnpinRequest    api.Moved
//	POST /v1/failback api.FailbackRequest api.Moved
//	POST /v1/resume   api.ResumeRequest   api.Moved
//	GET  /v1/transitions?server=NAME    [api.Transition], of all servers without a name
//	GET  /v1/explain?vip=WORD           api.Explanation, of the VIP of that prefix, address or name
//	POST /v1/simulate api.SimulateRequest api.Simulation
//	POST /v1/check    {"server": NAME}    [api.CheckResult], of all servers without a name
//	POST /v1/reload   api.ReloadRequest   api.Reloaded
//	GET  /v1/events?since=N&follow=true   api.Event, one a line
//
// A failure is an api.Error with a fitting HTTP status; in the middle of a
// stream of events it is a last line {"error": …}. Who may talk to a
// controller is decided by the socket's owner, group and mode alone, and who
// did is taken from the kernel, never from what the peer says.
package control

import (
	"time"

	"github.com/routesteer/routesteer/internal/api"
)

// DefaultSocket is where a controller listens unless it is told otherwise.
const DefaultSocket = "/run/routesteer/routesteer.sock"

// The paths of the API.
const (
	statusPath   = "/v1/status"
	planPath     = "/v1/plan"
	drainPath    = "/v1/drain"
	undrainPath  = "/v1/undrain"
	pinPath      = "/v1/pin"
	unpinPath    = "/v1/unpin"
	failbackPath = "/v1/failback"
	resumePath   = "/v1/resume"
	checkPath    = "/v1/check"
	movesPath    = "/v1/transitions"
	reloadPath   = "/v1/reload"
	eventsPath   = "/v1/events"

	explainPath  = "/v1/explain"
	simulatePath = "/v1/simulate"
)

// Limits that keep either side from being held or filled by the other.
const (
	maxBody      = 64 << 10 // of a request
	maxHeader    = 16 << 10
	maxAnswer    = 64 << 20
	maxEventLine = 1 << 20

	headerTimeout   = 5 * time.Second  // a request's header arrives within it
	bodyTimeout     = 5 * time.Second  // and its body
	writeTimeout    = 10 * time.Second // one write; a stream is many writes
	idleTimeout     = time.Minute
	shutdownTimeout = 3 * time.Second
	dialTimeout     = 2 * time.Second
	keepAlive       = 15 * time.Second // a blank line when a stream has nothing else to say
)

// Media types of bodies and answers.
const (
	jsonType   = "application/json"
	ndjsonType = "application/x-ndjson"
)

// A checkRequest is the body of POST /v1/check.
type checkRequest struct {
	Server string `json:"server,omitempty"`
}

// A line is one line of the stream of events: an event, or the failure that
// ends the stream.
type line struct {
	api.Event
	Error *api.Error `json:"error,omitempty"`
}
