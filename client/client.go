// Package client is the operator's side of a running controller: an
// api.Operator that asks it over HTTP, on its Unix socket (New) or over the network
// (Remote). It is what the routesteer commands are made of.
package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/routesteer/routesteer/api"
)

// DefaultSocket is where a controller listens unless it is told otherwise.
const DefaultSocket = "/run/routesteer/routesteer.sock"

// Limits that keep the other side from holding or filling us.
const (
	maxHeader    = 16 << 10
	maxAnswer    = 64 << 20
	maxEventLine = 1 << 20

	dialTimeout = 2 * time.Second
)

// A Client is the operator's side of the controller that listens on a socket, or
// elsewhere. It opens a connection for each request and holds none between them, so
// it needs no closing and survives restarts of the controller.
type Client struct {
	path   string // of the socket, or the URL: for messages
	base   string // of URLs
	remote bool   // it is asked over the network
	http   http.Client
}

var _ api.Operator = (*Client)(nil)

// New returns a client of the controller on the socket at path. It does
// not connect yet.
func New(path string) *Client {
	dialer := net.Dialer{Timeout: dialTimeout}
	return &Client{path: path, base: "http://routesteer", http: http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "unix", path)
			},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Status implements api.Operator.
func (c *Client) Status(ctx context.Context) (*api.Status, error) {
	return ask[api.Status](ctx, c, http.MethodGet, api.StatusPath, nil)
}

// Plan implements api.Operator.
func (c *Client) Plan(ctx context.Context) (*api.Plan, error) {
	return ask[api.Plan](ctx, c, http.MethodGet, api.PlanPath, nil)
}

// Drain implements api.Operator. By is what the controller finds it to be.
func (c *Client) Drain(ctx context.Context, request api.DrainRequest) (*api.Moved, error) {
	return c.wish(ctx, api.DrainPath, request)
}

// Undrain implements api.Operator. By is what the controller finds it to be.
func (c *Client) Undrain(ctx context.Context, request api.UndrainRequest) (*api.Moved, error) {
	return c.wish(ctx, api.UndrainPath, request)
}

// Pin implements api.Operator. By is what the controller finds it to be.
func (c *Client) Pin(ctx context.Context, request api.PinRequest) (*api.Moved, error) {
	return c.wish(ctx, api.PinPath, request)
}

// Unpin implements api.Operator. By is what the controller finds it to be.
func (c *Client) Unpin(ctx context.Context, request api.UnpinRequest) (*api.Moved, error) {
	return c.wish(ctx, api.UnpinPath, request)
}

// Failback implements api.Operator. By is what the controller finds it to be.
func (c *Client) Failback(ctx context.Context, request api.FailbackRequest) (*api.Moved, error) {
	return c.wish(ctx, api.FailbackPath, request)
}

// Resume implements api.Operator. By is what the controller finds it to be.
func (c *Client) Resume(ctx context.Context, request api.ResumeRequest) (*api.Moved, error) {
	return c.wish(ctx, api.ResumePath, request)
}

func (c *Client) wish(ctx context.Context, path string, request any) (*api.Moved, error) {
	moved, err := ask[api.Moved](ctx, c, http.MethodPost, path, request)
	return moved, perhapsKept(err)
}

// Transitions implements api.Operator.
func (c *Client) Transitions(ctx context.Context, server string) ([]api.Transition, error) {
	path := api.TransitionsPath
	if server != "" {
		path += "?" + url.Values{"server": {server}}.Encode()
	}
	all, err := ask[[]api.Transition](ctx, c, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	return *all, nil
}

// Explain implements api.Operator.
func (c *Client) Explain(ctx context.Context, word string) (*api.Explanation, error) {
	return ask[api.Explanation](ctx, c, http.MethodGet, api.ExplainPath+"?"+url.Values{"vip": {word}}.Encode(), nil)
}

// Simulate implements api.Operator.
func (c *Client) Simulate(ctx context.Context, request api.SimulateRequest) (*api.Simulation, error) {
	return ask[api.Simulation](ctx, c, http.MethodPost, api.SimulatePath, request)
}

// Check implements api.Operator.
func (c *Client) Check(ctx context.Context, server string) ([]api.CheckResult, error) {
	results, err := ask[[]api.CheckResult](ctx, c, http.MethodPost, api.CheckPath, api.CheckRequest{Server: server})
	if err != nil {
		return nil, err
	}
	return *results, nil
}

// Reload implements api.Operator. By is what the controller finds it to be.
func (c *Client) Reload(ctx context.Context, request api.ReloadRequest) (*api.Reloaded, error) {
	return ask[api.Reloaded](ctx, c, http.MethodPost, api.ReloadPath, request)
}

// Events implements api.Operator. With Follow, a controller that stops is an
// error, and the end of ctx is not.
func (c *Client) Events(ctx context.Context, request api.EventsRequest) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		response, err := c.send(ctx, http.MethodGet, api.EventsPath+"?"+request.Query().Encode(), nil)
		if err == nil {
			defer response.Body.Close()
			err = c.expect(response, api.NDJSONType)
		}
		if err == nil {
			var more bool
			if more, err = readLines(response.Body, yield); !more {
				return
			}
			err = c.broken(ctx, err)
		}
		if err == nil && request.Follow {
			err = c.stopped()
		}
		if err != nil && !(request.Follow && ctx.Err() != nil) {
			yield(api.Event{}, err)
		}
	}
}

// readLines yields the events of a stream. more says whether the caller wants
// to hear why it ended; err is nil at a regular end.
func readLines(body io.Reader, yield func(api.Event, error) bool) (more bool, err error) {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxEventLine)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var line api.EventLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return true, err
		}
		if line.Error != nil {
			return true, line.Error
		}
		if !yield(line.Event, nil) {
			return false, nil
		}
	}
	return true, lines.Err()
}

// ask sends a request and reads its JSON answer.
func ask[T any](ctx context.Context, c *Client, method, path string, body any) (*T, error) {
	response, err := c.send(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if err := c.expect(response, api.JSONType); err != nil {
		return nil, err
	}
	text, err := readAnswer(response.Body)
	if err != nil {
		return nil, c.broken(ctx, err)
	}
	answer := new(T) // never nil, even if the answer is null
	if err := json.Unmarshal(text, answer); err != nil {
		return nil, c.broken(ctx, err)
	}
	return answer, nil
}

// send sends a request and returns the response, whatever its status.
func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("write the request as JSON: %w", err)
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return nil, badAddress(err.Error())
	}
	if body != nil {
		request.Header.Set("Content-Type", api.JSONType)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return response, nil
}

// expect returns the controller's error, or complains if the response is not
// of the media type.
func (c *Client) expect(response *http.Response, media string) error {
	// What is no media type is none that is expected.
	got, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if response.StatusCode == http.StatusOK && got == media {
		return nil
	}
	if got == api.JSONType {
		text, err := readAnswer(response.Body)
		failure := &api.Error{}
		if err == nil && json.Unmarshal(text, failure) == nil && failure.Code != "" {
			return failure
		}
	}
	return c.stranger(fmt.Errorf("HTTP %s, %q", response.Status, response.Header.Get("Content-Type")))
}

// readAnswer reads a body of at most maxAnswer bytes.
func readAnswer(body io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err == nil && len(text) > maxAnswer {
		err = errors.New("the answer is too long")
	}
	return text, err
}
