package probe

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// mayProbe makes sure, before anything is begun, that the calling thread has
// the rights that checks need in its network namespace. Asking for each thing
// that needs them would name one right at a time.
func mayProbe() error {
	var missing []string
	if !mayRule() {
		missing = append(missing, "CAP_NET_ADMIN")
	}
	if !mayEcho() {
		missing = append(missing, "CAP_NET_RAW")
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("checks need CAP_NET_ADMIN and CAP_NET_RAW, not given: %s (%w); run as root, "+
		`or: setcap cap_net_admin,cap_net_raw+ep "$(command -v routesteer)"; `+
		"systemd: AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW; containers: --cap-add NET_ADMIN --cap-add NET_RAW",
		strings.Join(missing, ", "), unix.EPERM)
}

// mayRule asks the kernel for what it refuses anyway, but only after it has
// looked at the caller's rights: to remove a rule, in a message too short to
// name any (rtnetlink_rcv_msg, fib_nl_delrule).
func mayRule() bool {
	request := nl.NewNetlinkRequest(unix.RTM_DELRULE, unix.NLM_F_ACK)
	request.AddData(&nl.RtGenMsg{RtGenmsg: unix.RtGenmsg{Family: unix.AF_INET}})
	_, err := request.Execute(unix.NETLINK_ROUTE, 0)
	return !errors.Is(err, unix.EPERM)
}

func mayEcho() bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	if err == nil {
		_ = unix.Close(fd) // nothing was sent
	}
	return !errors.Is(err, unix.EPERM)
}
