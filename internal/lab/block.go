package lab

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Where the policy rules of block are. The kernel's own rule for the local
// table is at 0, before anything could be dropped, so it moves behind.
const (
	kernelLocal  = 0
	blockRules   = 1
	blockedLocal = 2
)

// blackhole is FR_ACT_BLACKHOLE of linux/fib_rules.h: drop without a word.
const blackhole = 6

// block drops every packet to and from the host, while ARP or neighbour
// discovery still answers, by policy rules: unlike a packet filter they need
// no program and no kernel module that a machine with routesteer would not
// have. The rules name protocols because the kernel asks the same rules
// whether to answer ARP.
//
// Neighbour discovery is ICMPv6 itself, and rules cannot tell it from echo:
// of ICMPv6 they let all pass, and the kernel is told not to answer echo.
func (h *host) block(family Family) error {
	if blocked, err := h.blocked(family); err != nil || blocked {
		return err
	}
	err := errors.Join(h.ignoreEcho(family, true), h.addRule(localRule(family, blockedLocal)))
	for _, rule := range dropRules(family) {
		err = errors.Join(err, h.addRule(rule))
	}
	if err != nil {
		return err
	}
	// From this moment on nothing passes.
	if err := h.nl.RuleDel(localRule(family, kernelLocal)); err != nil {
		return fmt.Errorf("block %s: %w", h.Name, err)
	}
	return nil
}

// unblock undoes block.
func (h *host) unblock(family Family) error {
	if blocked, err := h.blocked(family); err != nil || !blocked {
		return err
	}
	err := errors.Join(h.ignoreEcho(family, false), h.addRule(localRule(family, kernelLocal)))
	for _, rule := range append(dropRules(family), localRule(family, blockedLocal)) {
		if e := h.nl.RuleDel(rule); e != nil {
			err = errors.Join(err, fmt.Errorf("unblock %s: %w", h.Name, e))
		}
	}
	return err
}

// blocked reports whether the kernel's rule is away.
func (h *host) blocked(family Family) (bool, error) {
	rules, err := h.nl.RuleList(family.number())
	if err != nil {
		return false, fmt.Errorf("list policy rules of %s: %w", h.Name, err)
	}
	for _, rule := range rules {
		if rule.Priority == kernelLocal && rule.Table == unix.RT_TABLE_LOCAL {
			return false, nil
		}
	}
	return true, nil
}

// ignoreEcho makes the kernel answer ICMPv6 echo or not.
func (h *host) ignoreEcho(family Family, ignore bool) error {
	if family != IPv6 {
		return nil
	}
	value := "0"
	if ignore {
		value = "1"
	}
	return h.sysctl("net.ipv6.icmp.echo_ignore_all", value)
}

func (h *host) addRule(rule *netlink.Rule) error {
	if err := h.nl.RuleAdd(rule); err != nil {
		return fmt.Errorf("block %s by a policy rule: %w; the kernel needs CONFIG_IP_MULTIPLE_TABLES", h.Name, err)
	}
	return nil
}

func localRule(family Family, priority int) *netlink.Rule {
	rule := netlink.NewRule()
	rule.Family, rule.Priority, rule.Table = family.number(), priority, unix.RT_TABLE_LOCAL
	return rule
}

// dropRules drop what comes in at the device and what the host itself sends,
// which the kernel looks up as coming in at loopback.
func dropRules(family Family) []*netlink.Rule {
	protocols := []int{unix.IPPROTO_TCP, unix.IPPROTO_UDP}
	if family == IPv4 {
		protocols = append(protocols, unix.IPPROTO_ICMP)
	}
	var rules []*netlink.Rule
	for _, device := range []string{nic, "lo"} {
		for _, protocol := range protocols {
			rule := netlink.NewRule()
			rule.Family, rule.Priority, rule.Type = family.number(), blockRules, blackhole
			rule.IifName, rule.IPProto = device, protocol
			rules = append(rules, rule)
		}
	}
	return rules
}
