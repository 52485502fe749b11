package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/page"
	"github.com/routesteer/routesteer/internal/web"
	"github.com/routesteer/routesteer/topology"
)

func (a *app) pageCommand() *cobra.Command {
	listen := "127.0.0.1:8080"
	command := &cobra.Command{
		Use:   "page",
		Short: "Serve the web page of a running controller on this machine",
		Long: `Serve the page of a running controller to browsers on this machine, until
interrupted: that of a lab, of a controller that offers no http itself, or, with
--url, of one on another machine. Changes need the token that is printed, and are
made in your name.`,
		Example: `  routesteer page
  routesteer page --listen 127.0.0.1:9000 --socket ./r.sock`,
		Args: atMost(0),
		RunE: func(command *cobra.Command, _ []string) error { return a.page(command.Context(), listen) },
	}
	command.Flags().StringVar(&listen, "listen", listen, "a loopback address and port")
	return command
}

// page serves the page until ctx ends.
func (a *app) page(ctx context.Context, listen string) error {
	at, err := netip.ParseAddrPort(listen)
	if err != nil || !at.Addr().IsLoopback() || at.Port() == 0 {
		return fmt.Errorf("--listen is %q: want a loopback address and a port, such as 127.0.0.1:8080", listen)
	}
	operator := a.client()
	if _, err := operator.Status(ctx); err != nil {
		return err
	}
	token := rand.Text()
	dir, err := os.MkdirTemp("", "routesteer-page")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		return err
	}
	site := &topology.Site{Web: topology.Web{
		Listen: at, Read: topology.ReadAnyone,
		Tokens: []topology.Token{{Name: "page", Secret: topology.Secret{File: file}}},
	}}
	if _, err := fmt.Fprintf(a.stdout, "http://%s\nThe token, for changes: %s\nCtrl-C ends it.\n", at, token); err != nil {
		return err
	}
	return a.servePage(ctx, operator, site)
}

// servePage serves until ctx ends, or there is something wrong with it.
func (a *app) servePage(ctx context.Context, operator api.Operator, site *topology.Site) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	web.Serve(ctx, web.Options{
		Sites:    slices.Values([]*topology.Site{site}),
		Operator: operator, Page: page.Handler(), Metrics: http.NotFoundHandler(),
		Log: slog.New(slog.NewTextHandler(a.stderr, nil)),
		Warn: func(_ context.Context, text string) {
			if text != "" {
				stop(errors.New(text))
			}
		},
	})
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
