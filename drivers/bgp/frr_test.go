package bgp

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/routesteer/routesteer/drivers/drivertest"
)

// frrConfig is the configuration of docs/bgp.md for FRR.
const frrConfig = `
router bgp 65001
 bgp router-id 192.0.2.1
 bgp graceful-restart preserve-fw-state
 neighbor 192.0.2.2 remote-as 65000
 neighbor 192.0.2.2 timers 3 9
 address-family ipv4 unicast
  neighbor 192.0.2.2 route-map NOTHING out
  neighbor 192.0.2.2 route-map VIPS in
  maximum-paths 16
 exit-address-family
 address-family ipv6 unicast
  neighbor 192.0.2.2 activate
  neighbor 192.0.2.2 route-map NOTHING out
  neighbor 192.0.2.2 route-map VIPS in
  maximum-paths 16
 exit-address-family
!
route-map NOTHING deny 10
route-map VIPS permit 10
`

// An frr is FRR's zebra and bgpd on a router.
type frr struct {
	*router
	bgpd *daemon
}

// startFRR starts both with the configuration and waits until they answer.
func (r *router) startFRR(config string) *frr {
	r.t.Helper()
	f := &frr{router: r}
	// FRR's daemons are user frr, who must reach the directory and write there.
	for path, mode := range map[string]os.FileMode{filepath.Dir(r.dir): 0o711, r.dir: 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			r.t.Fatal(err)
		}
	}
	r.write("frr.conf", "frr defaults traditional\nlog file "+filepath.Join(r.dir, "frr.log")+config)
	f.daemon("zebra", "--v6-rr-semantics")
	f.soon("zebra answers", func() bool { return f.answers("zebra") })
	f.again()
	return f
}

// again starts bgpd, which has ended.
func (f *frr) again() {
	f.t.Helper()
	f.bgpd = f.daemon("bgpd", "-p", "179")
	f.soon("bgpd answers", func() bool { return f.answers("bgpd") })
}

// daemon starts a daemon of FRR, whose files are the router's own.
func (f *frr) daemon(name string, more ...string) *daemon {
	words := []string{
		"/usr/lib/frr/" + name, "-f", filepath.Join(f.dir, "frr.conf"), "-i", filepath.Join(f.dir, name+".pid"),
		"-z", filepath.Join(f.dir, "zserv.api"), "--vty_socket", f.dir, "-A", "127.0.0.1", "-P", "0",
	}
	return f.start(name+".out.log", append(words, more...)...)
}

func (f *frr) answers(name string) bool {
	_, err := f.try("vtysh", "--vty_socket", f.dir, "-d", name, "-c", "show version")
	return err == nil
}

// show asks bgpd.
func (f *frr) show(command string) string {
	f.t.Helper()
	out, err := f.try("vtysh", "--vty_socket", f.dir, "-d", "bgpd", "-c", command)
	if err != nil {
		f.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return out
}

func TestTheDriverPassesTheExamOnFRR(t *testing.T) {
	r := newRouter(t)
	r.startFRR(frrConfig)
	drivertest.Exam(t, newBench(t, r, true))
}
