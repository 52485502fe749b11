package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/routesteer/routesteer/api"
)

// answer turns a function of a request's body into a handler that takes one
// method and writes what the function returns as JSON.
func answer(method string, do func(ctx context.Context, body []byte) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := readRequest(w, r, method)
		if err != nil {
			WriteError(w, err)
			return
		}
		result, err := do(r.Context(), body)
		if err != nil {
			WriteError(w, err)
			return
		}
		WriteJSON(w, http.StatusOK, result)
	}
}

// readRequest checks method and media type, and reads the body within its
// limits.
func readRequest(w http.ResponseWriter, r *http.Request, method string) ([]byte, error) {
	if r.Method != method {
		w.Header().Set("Allow", method)
		return nil, &statusError{http.StatusMethodNotAllowed, badRequest("%s takes %s, not %s", r.URL.Path, method, r.Method)}
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	if len(body) == 0 && method == http.MethodGet {
		return nil, nil
	}
	if method == http.MethodGet {
		return nil, badRequest("%s takes no body", r.URL.Path)
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != api.JSONType {
		return nil, &statusError{http.StatusUnsupportedMediaType, badRequest("Content-Type is %q, want %s", r.Header.Get("Content-Type"), api.JSONType)}
	}
	return body, nil
}

// readBody reads at most maxBody bytes within bodyTimeout. Once it has, a
// request may take as long as it likes, and the end of its connection ends
// its context.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	// Only a test's recorder cannot set deadlines; the connection can.
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, &statusError{http.StatusRequestEntityTooLarge, badRequest("the body is longer than %d bytes", tooLarge.Limit)}
	}
	if err != nil {
		return nil, badRequest("read the body: %v", err)
	}
	_ = connection.SetReadDeadline(time.Time{})
	return body, nil
}

// decode reads exactly one JSON value with known fields only.
func decode(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return badRequest("the body is not as expected: %v", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return badRequest("the body goes on after its JSON value")
	}
	return nil
}

// WriteJSON sends one value.
func WriteJSON(w http.ResponseWriter, status int, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic("control: cannot write the answer as JSON: " + err.Error())
	}
	AllowWrite(w)
	w.Header().Set("Content-Type", api.JSONType)
	w.WriteHeader(status)
	// A client that has gone needs no answer, and there is nobody else to tell.
	_, _ = w.Write(append(text, '\n'))
}

// AllowWrite gives the next write its time: a client that does not read holds
// nobody longer.
func AllowWrite(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
}

// A statusError is an error that HTTP has a finer word for.
type statusError struct {
	status int
	err    *api.Error
}

func (e *statusError) Error() string { return e.err.Error() }

func badRequest(format string, args ...any) *api.Error {
	return &api.Error{Code: api.BadRequest, Message: fmt.Sprintf(format, args...)}
}

// WriteError sends err as an api.Error, with a fitting HTTP status.
func WriteError(w http.ResponseWriter, err error) {
	if fine := (*statusError)(nil); errors.As(err, &fine) {
		WriteJSON(w, fine.status, fine.err)
		return
	}
	failure := asError(err)
	WriteJSON(w, httpStatus(failure.Code), failure)
}

// asError makes an api.Error of any error.
func asError(err error) *api.Error {
	if failure := (*api.Error)(nil); errors.As(err, &failure) {
		return failure
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &api.Error{Code: api.Unavailable, Message: "the controller did not answer in time"}
	case errors.Is(err, context.Canceled):
		return &api.Error{Code: api.Unavailable, Message: "the controller is stopping"}
	default:
		return &api.Error{Code: api.Internal, Message: err.Error()}
	}
}

// httpStatus is the nearest that HTTP has to a code.
func httpStatus(code api.ErrorCode) int {
	switch code {
	case api.BadRequest:
		return http.StatusBadRequest
	case api.Unauthorized:
		return http.StatusUnauthorized
	case api.Forbidden:
		return http.StatusForbidden
	case api.TooMany:
		return http.StatusTooManyRequests
	case api.NotFound:
		return http.StatusNotFound
	case api.Refused:
		return http.StatusConflict
	case api.BadConfig:
		return http.StatusUnprocessableEntity
	case api.Unconfirmed:
		return http.StatusGatewayTimeout
	case api.Unavailable:
		return http.StatusServiceUnavailable
	case api.Internal:
		return http.StatusInternalServerError
	default: // a code of a newer api package
		return http.StatusInternalServerError
	}
}
