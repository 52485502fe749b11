package control

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/client"
)

func TestTheSocketIsForOwnerAndGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "r.sock")
	listener, err := Listen(t.Context(), path, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{path: "Srw-rw----", filepath.Dir(path): "drwxr-xr-x"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().String(); got != want {
			t.Errorf("%s: got %s, want %s", filepath.Base(name), got, want)
		}
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there after Close: %v", err)
	}
}

func TestASocketThatIsNotOursAnyMoreIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.sock")
	listener, err := Listen(t.Context(), path, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("another's"), 0o600); err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}

func TestWhatStandsInTheWayOfListening(t *testing.T) {
	t.Run("a stale socket does not", func(t *testing.T) {
		listener, err := Listen(t.Context(), staleSocket(t), "")
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
	})
	t.Run("another controller", func(t *testing.T) {
		path := serve(t, &fakeOperator{})
		wantListenError(t, path, "", "another routesteer answers on "+path)
		if _, err := client.New(path).Status(t.Context()); err != nil {
			t.Errorf("the first controller is gone: %v", err)
		}
	})
	t.Run("another program", func(t *testing.T) {
		path, _ := rawPeer(t, "")
		wantListenError(t, path, "", "another routesteer answers on "+path)
	})
	t.Run("a file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "precious")
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		wantListenError(t, path, "", "is not a socket")
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	})
	t.Run("a path that is too long", func(t *testing.T) {
		wantListenError(t, "/"+strings.Repeat("x", 200), "", "a Unix socket's may have 107")
	})
	t.Run("a group that does not exist", func(t *testing.T) {
		wantListenError(t, filepath.Join(t.TempDir(), "r.sock"), "no-such-group", "no-such-group")
	})
}

func wantListenError(t *testing.T, path, group, want string) {
	t.Helper()
	listener, err := Listen(t.Context(), path, group)
	if err == nil {
		listener.Close()
		t.Fatalf("it listens; want an error with %q", want)
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q in it", err, want)
	}
}
