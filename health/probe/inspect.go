package probe

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/routesteer/routesteer/topology"
)

// inspectScripts makes sure that the programs of the site's checks can be run
// safely.
func inspectScripts(site *topology.Site) error {
	for _, check := range site.Checks {
		if check.Script == nil {
			continue
		}
		if err := inspect(check.Script.Command[0]); err != nil {
			return fmt.Errorf("look at the program of check %s: %w", check.Name, err)
		}
	}
	return nil
}

// inspect makes sure that a program is there, and that nobody but root and the
// user we are could have written it, or put it there.
func inspect(path string) error {
	program, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(program)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no program", program)
	case info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("%s is not executable: chmod +x %[1]s", program)
	case isOthers(info) || isOpen(info):
		return fmt.Errorf("%s can be changed by others than root and the user that routesteer runs as: chown it, and chmod go-w %[1]s", program)
	}
	for _, p := range []string{path, program} {
		if err := inspectAbove(p); err != nil {
			return err
		}
	}
	return nil
}

// inspectAbove looks at the directories above a file: who can write one can put
// another file there. A sticky one, as /tmp, does not let others do that.
func inspectAbove(path string) error {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if isOpen(info) && info.Mode()&fs.ModeSticky == 0 {
			return fmt.Errorf("others can put another program in the place of %s: chmod go-w %s", path, dir)
		}
		if dir == "/" {
			return nil
		}
	}
}

// isOpen reports whether the owner's group or anybody may write.
func isOpen(info fs.FileInfo) bool { return info.Mode().Perm()&0o022 != 0 }

func isOthers(info fs.FileInfo) bool {
	owner := info.Sys().(*syscall.Stat_t).Uid // on Linux it always is one
	return owner != 0 && int(owner) != os.Geteuid()
}
