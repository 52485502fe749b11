package bgp

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// birdConfig is the configuration of docs/bgp.md for BIRD 2.
const birdConfig = `
router id 192.0.2.1;
protocol device { }

protocol kernel {
	merge paths on;
	ipv4 { import none; export where source = RTS_BGP; };
}
protocol kernel {
	merge paths on;
	ipv6 { import none; export where source = RTS_BGP; };
}

protocol bgp routesteer {
	local 192.0.2.1 as 65001;
	neighbor 192.0.2.2 as 65000;
	hold time 9;
	graceful restart on;
	ipv4 { import all; export none; add paths rx; };
	ipv6 { import all; export none; add paths rx; };
}
`

// A bird is BIRD on a router.
type bird struct {
	*router
	*daemon
	config string
}

// startBird starts BIRD with the configuration and waits until it answers.
func (r *router) startBird(config string) *bird {
	r.t.Helper()
	b := &bird{router: r, config: r.write("bird.conf", `log "`+filepath.Join(r.dir, "bird.log")+`" all;`+config)}
	b.again()
	return b
}

// birdProgram finds one of BIRD's programs: installed, or as scripts/test-tools
// unpacks it.
func birdProgram(name string) []string {
	if _, err := exec.LookPath(name); err == nil {
		return []string{name}
	}
	const unpacked = "../../build/hosts/bird2"
	libraries, _ := filepath.Glob(unpacked + "/usr/lib/*-linux-gnu") // none if it needs none
	return []string{"env", "LD_LIBRARY_PATH=" + strings.Join(libraries, ":"), unpacked + "/usr/sbin/" + name}
}

// again starts BIRD, which has ended.
func (b *bird) again() {
	b.t.Helper()
	words := append(birdProgram("bird"), "-f", "-c", b.config, "-s", b.socket(), "-P", filepath.Join(b.dir, "bird.pid"))
	b.daemon = b.router.start("bird.out.log", words...)
	b.soon("BIRD answers", func() bool {
		_, err := b.try(append(birdProgram("birdc"), "-s", b.socket(), "show", "status")...)
		return err == nil
	})
}

func (b *bird) socket() string { return filepath.Join(b.dir, "bird.ctl") }

// birdc asks BIRD.
func (b *bird) birdc(format string, args ...any) string {
	b.t.Helper()
	return b.run("%s -s %s %s", strings.Join(birdProgram("birdc"), " "), b.socket(), fmt.Sprintf(format, args...))
}

// established waits until BIRD says that the session is.
func (b *bird) established() {
	b.t.Helper()
	b.soon("BIRD has the session", func() bool {
		return strings.Contains(b.birdc("show protocols routesteer"), "Established")
	})
}
