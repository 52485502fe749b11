package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

// completionTimeout is what a shell waits for names: no longer than people do.
const completionTimeout = time.Second

// completeServer is a cobra.CompletionFunc: the running controller's servers.
func (a *app) completeServer(command *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	status := a.statusForCompletion(command.Context(), args)
	if status == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return serverCompletions(status), cobra.ShellCompDirectiveNoFileComp
}

// completeSubject is a cobra.CompletionFunc: servers and VIPs.
func (a *app) completeSubject(command *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	status := a.statusForCompletion(command.Context(), args)
	if status == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return append(serverCompletions(status), vipCompletions(status)...), cobra.ShellCompDirectiveNoFileComp
}

// completeServers is a cobra.CompletionFunc: servers that are not given yet.
func (a *app) completeServers(command *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	status := a.statusForCompletion(command.Context(), nil)
	if status == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	status.Servers = slices.DeleteFunc(status.Servers, func(s api.Server) bool { return slices.Contains(args, s.Name) })
	return serverCompletions(status), cobra.ShellCompDirectiveNoFileComp
}

// completePin is a cobra.CompletionFunc: a VIP, then a server.
func (a *app) completePin(command *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 1 {
		return a.completeServers(command, nil, word)
	}
	return a.completeSubject(command, args, word)
}

// statusForCompletion returns nil when there is nothing to complete, or
// nobody to ask.
func (a *app) statusForCompletion(ctx context.Context, args []string) *api.Status {
	if len(args) > 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	status, err := a.client().Status(ctx)
	if err != nil {
		return nil
	}
	return status
}

func serverCompletions(status *api.Status) []cobra.Completion {
	var names []cobra.Completion
	for _, server := range status.Servers {
		names = append(names, cobra.CompletionWithDesc(server.Name, fmt.Sprintf("server, %s, %s", server.Health, server.Admin.State)))
	}
	return names
}

func vipCompletions(status *api.Status) []cobra.Completion {
	var names []cobra.Completion
	for _, vip := range status.VIPs {
		names = append(names, cobra.CompletionWithDesc(vip.Prefix, "VIP "+vip.Name))
	}
	return names
}

// A subject is what status can show in detail. One of the two is set.
type subject struct {
	server *api.Server
	vip    *api.VIP
}

// find returns the server or VIP that an operator means by word: a name, a
// prefix, or an address.
func find(status *api.Status, word string) (subject, error) {
	address, _ := netip.ParseAddr(word) // the zero value is in no prefix
	for i, server := range status.Servers {
		if server.Name == word {
			return subject{server: &status.Servers[i]}, nil
		}
	}
	for i, vip := range status.VIPs {
		covers := func(text string) bool {
			prefix, _ := netip.ParsePrefix(text)
			return text == word || prefix.Contains(address)
		}
		if vip.Name == word || covers(vip.Prefix) || slices.ContainsFunc(vip.Prefixes, covers) {
			return subject{vip: &status.VIPs[i]}, nil
		}
	}
	return subject{}, unknown(status, word)
}

// unknown says which names there are, and which was probably meant.
func unknown(status *api.Status, word string) error {
	failure := &api.Error{Code: api.NotFound, Message: fmt.Sprintf("no server or VIP %q in %s", word, status.Config.File)}
	var names []string
	for _, server := range status.Servers {
		names = append(names, server.Name)
	}
	failure.Details = append(failure.Details, "servers: "+strings.Join(names, ", "))
	var vips []string
	for _, vip := range status.VIPs {
		vips = append(vips, vip.Prefix)
		if vip.Name != "" {
			names = append(names, vip.Name)
		}
	}
	failure.Details = append(failure.Details, "VIPs: "+strings.Join(vips, ", "))
	if near := topology.Nearest(word, append(names, vips...)); len(near) > 0 {
		failure.Hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return failure
}
