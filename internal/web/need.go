package web

import (
	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

// A need is what a path asks of who calls it.
type need int

const (
	nothing need = iota // the page's files, which are the same everywhere
	look                // by http.read
	known               // a token or a certificate: it makes work for routers, servers or the processor
	own                 // the same; with a limited token for its servers only
	all                 // a token without a limit, or a certificate
)

// metricsPath is where Prometheus looks by itself.
const metricsPath = "/metrics"

// needOf says what a path needs. One that is not here, and is the API's, needs
// the most, so that a new one is closed until somebody has thought about it.
func needOf(path string) need {
	switch path {
	case api.StatusPath, api.ExplainPath, api.EventsPath, api.StreamPath, api.TransitionsPath, metricsPath:
		return look
	case api.PlanPath, api.SimulatePath, api.CheckPath:
		return known
	case api.DrainPath, api.UndrainPath:
		return own
	}
	if isAPI(path) {
		return all
	}
	return nothing
}

func isAPI(path string) bool { return len(path) >= 4 && path[:4] == "/v1/" || path == "/v1" }

// allows says whether a caller has what is needed, and if not, why.
func (n need) allows(c caller, read topology.Reading) error {
	switch {
	case n == nothing, n == look && read != topology.ReadToken:
		return nil
	case !c.known():
		return &api.Error{
			Code:    api.Unauthorized,
			Message: "this needs a token or a client certificate",
			Hint:    "tokens are named under http.tokens in the controller's file; the CLI takes --token-file, curl takes -H \"Authorization: Bearer TOKEN\"",
		}
	case n == all && c.servers != nil:
		return &api.Error{Code: api.Forbidden, Message: c.by + " may drain and undrain its servers, and nothing else"}
	default:
		return nil
	}
}
