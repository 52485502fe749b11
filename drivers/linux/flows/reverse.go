package flows

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const settings = "/proc/sys/net/ipv4/conf"

// checkReverse says no where the kernel looks up the way back to a client by
// the mark of its packet (src_valid_mark, which wg-quick switches on) and insists
// that it is where the packet came from (rp_filter 1): it would drop every
// packet with a mark of ours.
func checkReverse(ns int) error {
	return within(ns, func() error {
		all, err := os.ReadDir(settings)
		if err != nil {
			return fmt.Errorf("read which interfaces filter by the reverse path: %w", err)
		}
		for _, device := range all {
			name := device.Name()
			byMark := max(setting("all", "src_valid_mark"), setting(name, "src_valid_mark"))
			filter := max(setting("all", "rp_filter"), setting(name, "rp_filter"))
			if name != "lo" && name != "default" && byMark != 0 && filter == 1 {
				return fmt.Errorf("the kernel would drop the packets (rp_filter 1 with src_valid_mark 1 on interface %s): "+
					"sysctl net.ipv4.conf.%[1]s.rp_filter=2", name)
			}
		}
		return nil
	})
}

// setting reads a number of an interface; one that has just gone filters
// nothing.
func setting(device, name string) int {
	text, err := os.ReadFile(filepath.Join(settings, device, name))
	if err != nil {
		return 0
	}
	value, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return value
}
