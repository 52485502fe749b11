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

// block drops every IPv4 packet to and from the host, while ARP still answers,
// by policy rules: unlike a packet filter they need no program and no kernel
// module that a machine with routesteer would not have. The rules name
// protocols because the kernel asks the same rules whether to answer ARP.
func (h *host) block() error {
	if blocked, err := h.blocked(); err != nil || blocked {
		return err
	}
	err := h.addRule(localRule(blockedLocal))
	for _, rule := range dropRules() {
		err = errors.Join(err, h.addRule(rule))
	}
	if err != nil {
		return err
	}
	// From this moment on nothing passes.
	if err := h.nl.RuleDel(localRule(kernelLocal)); err != nil {
		return fmt.Errorf("block %s: %w", h.Name, err)
	}
	return nil
}

// unblock undoes block.
func (h *host) unblock() error {
	if blocked, err := h.blocked(); err != nil || !blocked {
		return err
	}
	err := h.addRule(localRule(kernelLocal))
	for _, rule := range append(dropRules(), localRule(blockedLocal)) {
		if e := h.nl.RuleDel(rule); e != nil {
			err = errors.Join(err, fmt.Errorf("unblock %s: %w", h.Name, e))
		}
	}
	return err
}

// blocked reports whether the kernel's rule is away.
func (h *host) blocked() (bool, error) {
	rules, err := h.nl.RuleList(netlink.FAMILY_V4)
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

func (h *host) addRule(rule *netlink.Rule) error {
	if err := h.nl.RuleAdd(rule); err != nil {
		return fmt.Errorf("block %s by a policy rule: %w; the kernel needs CONFIG_IP_MULTIPLE_TABLES", h.Name, err)
	}
	return nil
}

func localRule(priority int) *netlink.Rule {
	rule := netlink.NewRule()
	rule.Family, rule.Priority, rule.Table = netlink.FAMILY_V4, priority, unix.RT_TABLE_LOCAL
	return rule
}

// dropRules drop what comes in at the device and what the host itself sends,
// which the kernel looks up as coming in at loopback.
func dropRules() []*netlink.Rule {
	var rules []*netlink.Rule
	for _, device := range []string{nic, "lo"} {
		for _, protocol := range []int{unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMP} {
			rule := netlink.NewRule()
			rule.Family, rule.Priority, rule.Type = netlink.FAMILY_V4, blockRules, blackhole
			rule.IifName, rule.IPProto = device, protocol
			rules = append(rules, rule)
		}
	}
	return rules
}
