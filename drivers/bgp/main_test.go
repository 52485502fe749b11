package bgp

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"testing"

	"go.uber.org/goleak"

	"github.com/routesteer/routesteer/internal/netns"
)

// inside marks, in the environment, the process that runs the tests.
const inside = "ROUTESTEER_BGP_TEST"

// TestMain runs the tests in a process whose network namespace is its own:
// the speaker's sockets are the process's.
func TestMain(m *testing.M) {
	if directory := os.Getenv(crashing); directory != "" {
		crash(directory)
		return
	}
	if directory := os.Getenv(steering); directory != "" {
		debug.SetGCPercent(50) // as cmd/routesteer does
		if err := beSteered(directory); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(inside) != "" {
		parallel()
		// GoBGP v4.8.0 leaves this goroutine behind when a peer ends with messages
		// queued: cleanInfiniteChannel drains only what the goroutine offers at that
		// instant. It holds nothing but that peer's last messages.
		goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/eapache/channels.(*InfiniteChannel).infiniteBuffer"))
		return
	}
	if err := netns.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(again())
}

// parallel has more tests run side by side than there are CPUs: they mostly
// wait. The flag of the command line, which is read later, has the last word.
func parallel() {
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
}

// again runs this program in a new namespace and returns its exit code.
func again() int {
	n, err := netns.New("speaker")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := n.Start(cmd); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return max(exit.ExitCode(), 1)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
