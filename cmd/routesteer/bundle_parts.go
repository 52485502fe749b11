package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/doctor"
	"github.com/routesteer/routesteer/internal/show"
	"github.com/routesteer/routesteer/internal/support"
)

// bundledEvents is how many events a bundle has: the last ones.
const bundledEvents = 20_000

// controllerParts are what the controller says.
func (a *app) controllerParts() []support.Part {
	operator := a.client()
	return []support.Part{
		{Name: "status.txt", Get: func(ctx context.Context) ([]byte, error) {
			status, err := operator.Status(ctx)
			if err != nil {
				return nil, err
			}
			return []byte(show.Status(status, show.Style{})), nil
		}},
		{Name: "status.json", Get: func(ctx context.Context) ([]byte, error) { return answer(operator.Status(ctx)) }},
		{Name: "plan.json", Get: func(ctx context.Context) ([]byte, error) { return answer(operator.Plan(ctx)) }},
		{Name: "transitions.json", Get: func(ctx context.Context) ([]byte, error) { return answer(operator.Transitions(ctx, "")) }},
		{Name: "events.jsonl", Get: func(ctx context.Context) ([]byte, error) { return eventLines(ctx, operator) }},
	}
}

// answer writes as JSON what an operator's question returned.
func answer[T any](value T, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(value, "", "  ")
}

func eventLines(ctx context.Context, operator api.Operator) ([]byte, error) {
	var lines bytes.Buffer
	for event, err := range operator.Events(ctx, api.EventsRequest{Last: bundledEvents}) {
		if err == nil {
			err = writeJSON(&lines, event, "")
		}
		if err != nil {
			return lines.Bytes(), err
		}
	}
	return lines.Bytes(), nil
}

// machineParts are what this machine is, and has.
func (a *app) machineParts(config string) []support.Part {
	parts := []support.Part{
		{Name: "version.json", Get: func(context.Context) ([]byte, error) { return answer(aboutHere()) }},
		{Name: "doctor.txt", Get: func(context.Context) ([]byte, error) { return a.doctorFinds(config) }},
	}
	for _, run := range [][]string{
		{"routes", "ip", "-details", "route", "show", "table", "all"},
		{"routes6", "ip", "-6", "-details", "route", "show", "table", "all"},
		{"nexthops", "ip", "-details", "nexthop", "show"},
		{"rules", "ip", "rule", "show"},
		{"rules6", "ip", "-6", "rule", "show"},
		{"links", "ip", "-statistics", "-details", "link", "show"},
		{"addresses", "ip", "address", "show"},
		{"neighbours", "ip", "neighbour", "show"},
		{"nftables", "nft", "--terse", "list", "ruleset"}, // terse: without the connections of moves
		{"journal", "journalctl", "--unit", "routesteer.service", "--lines", "20000", "--no-pager"},
		// Not all of it: an operator's drop-in may set secrets in the environment.
		{"unit", "systemctl", "show", "routesteer.service", "--no-pager",
			"--property=ActiveState,SubState,Result,NRestarts,ExecMainStatus,ExecMainStartTimestamp,MemoryCurrent,CPUUsageNSec,TasksCurrent"},
	} {
		parts = append(parts, support.Part{Name: run[0] + ".txt", Get: func(ctx context.Context) ([]byte, error) { return saidBy(ctx, run[1:]) }})
	}
	return parts
}

// saidBy runs a program and returns what it printed, however it ended.
func saidBy(ctx context.Context, command []string) ([]byte, error) {
	var said firstBytes
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.WaitDelay = time.Second
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return said.Bytes(), fmt.Errorf("run %q: %w", command, err)
	}
	return said.Bytes(), nil
}

// firstBytes keeps the first of what is written, as much as goes into a part.
type firstBytes struct{ bytes.Buffer }

func (f *firstBytes) Write(data []byte) (int, error) {
	_, _ = f.Buffer.Write(data[:min(len(data), support.PartSize-f.Len())]) // it cannot fail
	return len(data), nil
}

// An about is this program, and what it runs on.
type about struct {
	build
	Kernel  string    `json:"kernel"`
	Machine string    `json:"machine"`
	Time    time.Time `json:"time"`
}

func aboutHere() (about, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return about{}, fmt.Errorf("ask for the kernel's version: %w", err)
	}
	return about{build: thisBuild(), Kernel: unix.ByteSliceToString(name.Release[:]), Machine: unix.ByteSliceToString(name.Machine[:]), Time: time.Now()}, nil
}

func (a *app) doctorFinds(config string) ([]byte, error) {
	site, err := a.readSite(config)
	if err != nil {
		return nil, err
	}
	machine, err := doctor.Look(site, nftablesUsable)
	if err != nil {
		return nil, err
	}
	return []byte(doctorText(diagnosis{Checks: doctor.Judge(site, machine)})), nil
}

func (a *app) printBundle(b bundle) error {
	return a.print(b, func(show.Style) string {
		text := "wrote " + b.File + "\n"
		for _, missing := range b.Missing {
			text += "  without " + missing + "\n"
		}
		return text
	})
}
