//go:build release

// Tests that take minutes and the network: `make release-test`.

package packaging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// TestReleaseIsTheSameAnywhere builds a commit twice, the second time from a
// copy elsewhere with nothing kept of the first.
func TestReleaseIsTheSameAnywhere(t *testing.T) {
	copied := filepath.Join(t.TempDir(), "elsewhere")
	if said, code := run(t, exec.Command("git", "clone", "-q", "..", copied)); code != 0 {
		t.Fatal(said)
	}
	if err := os.Mkdir(filepath.Join(copied, "build"), 0o755); err != nil {
		t.Fatal(err)
	}
	nfpm, err := filepath.Abs("../build/nfpm")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(nfpm, filepath.Join(copied, "build/nfpm")); err != nil {
		t.Fatal(err)
	}
	sums := make([]string, 2)
	for i, script := range []string{"./build", filepath.Join(copied, "packaging/build")} {
		out := t.TempDir()
		build := exec.Command(script, out, runtime.GOARCH)
		if i == 1 {
			build.Env = append(os.Environ(), "GOCACHE="+t.TempDir())
		}
		if said, code := run(t, build); code != 0 {
			t.Fatalf("%s: exit %d\n%s", script, code, said)
		}
		text, err := os.ReadFile(filepath.Join(out, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		sums[i] = string(text)
	}
	if sums[0] != sums[1] {
		t.Errorf("not the same:\n%s\n%s", sums[0], sums[1])
	}
}

// TestReleaseRunsInABareDebian installs the deb where nothing is but what
// Debian calls minimal.
func TestReleaseRunsInABareDebian(t *testing.T) {
	deb := buildPackage(t, "1.0.0")
	root := filepath.Join(t.TempDir(), "debian")
	if said, code := run(t, exec.Command("debootstrap", "--variant=minbase", "stable", root)); code != 0 {
		t.Fatalf("debootstrap: exit %d\n%s", code, said)
	}
	if said, code := run(t, exec.Command("cp", deb, filepath.Join(root, "tmp/routesteer.deb"))); code != 0 {
		t.Fatal(said)
	}
	// dpkg takes no suggestions for what is missing: all that is needed must be there.
	script := `set -e
dpkg -i /tmp/routesteer.deb
getent passwd routesteer
routesteer validate /etc/routesteer/routesteer.yaml.example
routesteer simulate -c /etc/routesteer/routesteer.yaml.example --down web1
dpkg -P routesteer
[ ! -e /etc/routesteer ]`
	if said, code := run(t, exec.Command("unshare", "--mount", "--pid", "--fork", "chroot", root, "sh", "-c", script)); code != 0 {
		t.Errorf("in a bare Debian: exit %d\n%s", code, said)
	}
}
