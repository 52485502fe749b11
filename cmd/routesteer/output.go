package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/show"
	"github.com/routesteer/routesteer/topology"
)

// A format is the value of -o. It is a pflag.Value.
type format string

const (
	asText format = "" // the zero value
	asJSON format = "json"
)

func formats() []string { return []string{"text", "json"} }

func (f *format) String() string {
	if *f == asText {
		return "text"
	}
	return string(*f)
}

func (f *format) Set(text string) error {
	switch text {
	case "text":
		*f = asText
	case "json":
		*f = asJSON
	default:
		return errors.New("want text or json")
	}
	return nil
}

func (*format) Type() string { return "text|json" }

// An exitError is a failure with an exit code of its own. Without err, what
// there was to say has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// report prints the error of a command, if any, and returns the exit code.
func (a *app) report(err error) int {
	code := 0
	if err != nil {
		code = 1
	}
	if exit := (*exitError)(nil); errors.As(err, &exit) {
		code, err = exit.code, exit.err
	}
	if err != nil {
		a.printError(err)
	}
	return code
}

// printError writes an error the way the rest is written. If stderr is gone
// there is nobody to tell.
func (a *app) printError(err error) {
	if a.output == asJSON {
		_ = writeJSON(a.stderr, toAPI(err), "  ")
		return
	}
	fmt.Fprintln(a.stderr, "routesteer:", strings.TrimRight(err.Error(), "\n"))
}

// toAPI gives any error the shape of an api.Error.
func toAPI(err error) *api.Error {
	if failure := (*api.Error)(nil); errors.As(err, &failure) {
		return failure
	}
	if problems := (topology.Problems)(nil); errors.As(err, &problems) {
		failure := &api.Error{Code: api.BadConfig, Message: "the configuration has problems"}
		for _, problem := range problems {
			failure.Details = append(failure.Details, problem.String())
		}
		return failure
	}
	return &api.Error{Code: api.Internal, Message: err.Error()}
}

// print writes an answer: value as JSON, or what text makes of it.
func (a *app) print(value any, text func(show.Style) string) error {
	if a.output == asJSON {
		return writeJSON(a.stdout, value, "  ")
	}
	_, err := io.WriteString(a.stdout, text(a.style()))
	return err
}

// writeJSON writes one value; without indent on one line.
func writeJSON(w io.Writer, value any, indent string) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", indent)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// style dresses text for stdout: whole lines without colour, unless it is a
// terminal. See https://no-color.org.
func (a *app) style() show.Style {
	file, tty := a.terminal()
	if !tty {
		return show.Style{}
	}
	width, _ := terminalSize(file)
	return show.Style{Colour: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", Width: width}
}

// terminal returns stdout if it is a terminal.
func (a *app) terminal() (*os.File, bool) {
	file, ok := a.stdout.(*os.File)
	return file, ok && term.IsTerminal(int(file.Fd()))
}
