package secret_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/internal/secret"
	"github.com/routesteer/routesteer/topology"
)

func TestSecretsAreReadFromEveryPlace(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "core.password"), "hush hush\n", 0o640)
	t.Setenv("A_SECRET", "hush")
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	for _, c := range []struct {
		from topology.Secret
		want string
	}{
		{topology.Secret{}, ""},
		{topology.Secret{File: file}, "hush hush"},
		{topology.Secret{Env: "A_SECRET"}, "hush"},
		{topology.Secret{Credential: "core.password"}, "hush hush"},
	} {
		if got, err := secret.Read(c.from); got != c.want || err != nil {
			t.Errorf("%+v: %q, %v; want %q", c.from, got, err, c.want)
		}
	}
}

// TestErrorsSayWhatToDoAndHoldNoSecret covers every place that is not as it
// should be.
func TestErrorsSayWhatToDoAndHoldNoSecret(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	t.Setenv("EMPTY", "")
	for want, from := range map[string]topology.Secret{
		"chmod o=":           {File: write(t, filepath.Join(dir, "open"), "hush", 0o604)},
		"no such file":       {File: filepath.Join(dir, "missing")},
		"is empty":           {File: write(t, filepath.Join(dir, "empty"), "\r\n", 0o600)},
		"more than one line": {File: write(t, filepath.Join(dir, "lines"), "hush\nhush", 0o600)},
		"holds more than":    {File: write(t, filepath.Join(dir, "long"), strings.Repeat("hush", 2000), 0o600)},
		"no variable":        {Env: "ROUTESTEER_NO_SUCH_VARIABLE"},
		"EMPTY is empty":     {Env: "EMPTY"},
		"LoadCredential=":    {Credential: "password"},
	} {
		got, err := secret.Read(from)
		if got != "" || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %q, %v; want an error with %q", from, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("the error holds the secret: %v", err)
		}
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}
