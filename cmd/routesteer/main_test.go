package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// TestMain makes this binary routesteer itself when a script runs it by that
// name.
func TestMain(m *testing.M) {
	testscript.Main(leakless{m}, map[string]func(){
		"routesteer": main,
	})
}

// leakless also fails when a test leaves a goroutine.
type leakless struct{ m *testing.M }

func (l leakless) Run() int {
	code := l.m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	return code
}

// TestCommandsAsTyped runs the scripts. In them, `controller` starts a fake
// controller on $ROUTESTEER_SOCKET, which lives until the script ends.
func TestCommandsAsTyped(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"controller": cmdController},
		Setup: func(env *testscript.Env) error {
			env.Setenv(socketVariable, env.WorkDir+"/r.sock")
			env.Setenv("TZ", "UTC")
			env.Setenv("GORACE", "atexit_sleep_ms=0") // or every command of a -race run takes a second more
			return nil
		},
	})
}
