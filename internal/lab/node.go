package lab

import (
	"context"
	"fmt"
	"io"
)

// Node runs one of the lab's own processes. The command line's hidden
// subcommand hands it the rest of its arguments:
//
//	routesteer lab-node server --name web1
//	routesteer lab-node load …
//	routesteer lab-node busy
//
// It returns when ctx ends or its work is done.
func Node(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("lab-node: which one, server, load or busy? (the lab starts these itself; see routesteer lab --help)")
	}
	switch args[0] {
	case "server":
		return RunServer(ctx, args[1:], stdout)
	case "load":
		return RunLoad(ctx, args[1:], stdin, stdout)
	case "busy":
		RunBusy(ctx)
		return nil
	default:
		return fmt.Errorf("lab-node: unknown kind %q: there are server, load and busy", args[0])
	}
}
