package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/routesteer/routesteer/internal/netns"
)

// lockVariable gives each script a controller's lock of its own, whoever else
// runs one on this machine.
const lockVariable = "ROUTESTEER_TEST_LOCK"

// TestMain makes this binary routesteer itself when a script runs it by that
// name.
func TestMain(m *testing.M) {
	testscript.Main(leakless{m}, map[string]func(){
		"routesteer": func() {
			a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, lock: os.Getenv(lockVariable)}
			os.Exit(a.main(os.Args[1:]))
		},
	})
}

// leakless also fails when a test leaves a goroutine.
type leakless struct{ m *testing.M }

func (l leakless) Run() int {
	if err := netns.Enter(); err != nil { // for commands that look at a kernel
		os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	code := l.m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	return code
}

// TestCommandsAsTyped runs the scripts. In them, `controller` starts a fake
// controller on $ROUTESTEER_SOCKET, and `remote` one at $URL, which live until the script ends, and
// `locked` takes the lock that only one controller can have.
func TestCommandsAsTyped(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"controller": cmdController, "remote": cmdRemote, "locked": cmdLocked},
		Setup: func(env *testscript.Env) error {
			env.Setenv(socketVariable, env.WorkDir+"/r.sock")
			env.Setenv(lockVariable, "@"+env.WorkDir)
			env.Setenv("TZ", "UTC")
			env.Setenv("GORACE", "atexit_sleep_ms=0") // or every command of a -race run takes a second more
			return nil
		},
	})
}
