package lab

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
)

// Where the servers listen.
const (
	httpPort   = 80
	udpPort    = 9000
	healthPath = "/healthz"
)

// RunServer is a web server's process: HTTP on port 80 and a UDP echo on port
// 9000 of all addresses of its namespace. It says "ready" on stdout once it
// listens, and serves until ctx ends.
//
// A crash of it is SIGKILL and a freeze SIGSTOP, so it is a process and not a
// goroutine: the kernel must do to its sockets what it would do to nginx's.
func RunServer(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("lab-node server", flag.ContinueOnError)
	name := flags.String("name", "", "name given in every answer")
	family := flags.String("family", string(IPv4), "of the addresses to listen on, ipv4 or ipv6")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("lab-node server: %w", err)
	}
	if *name == "" {
		return errors.New("lab-node server: --name is missing")
	}
	// Five of these share the machine with what they measure; a second
	// scheduler thread would only spin.
	runtime.GOMAXPROCS(1)
	return serve(ctx, *name, Family(*family), stdout)
}

func serve(ctx context.Context, name string, family Family, stdout io.Writer) error {
	// Keep-alive probes cost four system calls for each connection.
	config := net.ListenConfig{KeepAlive: -1}
	listener, err := config.Listen(ctx, family.network("tcp"), fmt.Sprintf(":%d", httpPort))
	if err != nil {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	echo, err := listenEcho(name, family)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if _, err := fmt.Fprintln(stdout, readyWord); err != nil {
		return errors.Join(fmt.Errorf("say that the server is ready: %w", err), listener.Close(), echo.close())
	}
	site := &website{name: name}
	stop := context.AfterFunc(ctx, func() {
		_ = listener.Close() // accept and receive return: the reason is ctx
		_ = echo.close()
	})
	defer stop()
	var group sync.WaitGroup
	group.Go(func() { site.acceptAll(listener) })
	group.Go(echo.answerAll)
	group.Wait()
	return nil
}
