package bgp

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/routesteer/routesteer/internal/netns"
)

// alone marks, in the environment, a process that runs a single test.
const alone = "ROUTESTEER_BGP_TEST_ALONE"

// elsewhere runs the test in a process and a network namespace of its own, beside
// others, and reports true when it has run there. It reports false there. All
// routers have the same addresses, and a speaker's sockets are its process's.
// Nearly all of a test's time goes in GoBGP's fixed waits.
func elsewhere(t *testing.T) bool {
	t.Helper()
	if os.Getenv(alone) != "" {
		return false
	}
	t.Parallel()
	n, err := netns.New("speaker")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v="+strconv.FormatBool(testing.Verbose()), "-test.timeout=5m")
	// With the race detector the end of every process would take a second more.
	cmd.Env = append(os.Environ(), alone+"=1", "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := n.Start(cmd); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	if err != nil || testing.Verbose() {
		t.Logf("in a process of its own:\n%s", out.String())
	}
	if err != nil {
		t.Error(err)
	}
	return true
}
