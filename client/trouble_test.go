package client

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhoMayNotIsToldWhoMay(t *testing.T) {
	err := New("/run/r.sock").unreachable(t.Context(), &net.OpError{Op: "dial", Err: os.ErrPermission})
	if !strings.Contains(err.Error(), "no permission") || !strings.Contains(err.Error(), "sudo") {
		t.Errorf("got %v", err)
	}
}

func TestRootsOwnGroupIsNoHint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := groupHint(path); os.Getgid() == 0 && got != "" {
		t.Errorf("got %q for root's own group, want nothing", got)
	}
}
