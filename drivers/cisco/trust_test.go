package cisco

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"

	"github.com/routesteer/routesteer/drivers/cisco/iostest"
	"github.com/routesteer/routesteer/topology"
)

// TestAHostKeyIsStoredOnALineOfItsOwn also behind one that a person has left
// without an end.
func TestAHostKeyIsStoredOnALineOfItsOwn(t *testing.T) {
	router := iostest.New(iostest.Options{Dialect: "ios"})
	defer router.Close()
	key := HostKey{Address: "192.0.2.1:22", key: router.HostKey()}
	cfg := topology.Cisco{KnownHosts: filepath.Join(t.TempDir(), "known_hosts")}
	other := knownhosts.Line([]string{"192.0.2.2"}, router.HostKey())
	if err := os.WriteFile(cfg.KnownHosts, []byte(other), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Remember(cfg, key); err != nil {
		t.Fatal(err)
	}
	known, err := knownhosts.NewDB(cfg.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"192.0.2.1:22", "192.0.2.2:22"} {
		keys := known.HostKeys(host)
		if len(keys) != 1 || ssh.FingerprintSHA256(keys[0].PublicKey) != ssh.FingerprintSHA256(router.HostKey()) {
			t.Errorf("%s has keys %v", host, keys)
		}
	}
}
