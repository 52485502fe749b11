package frr

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A program is one that a router is made of, and the Debian package it is in.
type program struct{ path, pkg string }

func programs() []program {
	return []program{
		{"/usr/lib/frr/zebra", "frr"},
		{"/usr/bin/vtysh", "frr"},
		{"/usr/sbin/sshd", "openssh-server"},
		{"/usr/bin/ssh-keygen", "openssh-client"},
		{"/usr/sbin/useradd", "passwd"},
	}
}

// Possible says what keeps a router from being started here, and what to do
// about it; nil if nothing is known.
func Possible(unpacked ...string) error {
	if err := isRoot(); err != nil {
		return err
	}
	return missing(append([]string{"/"}, unpacked...))
}

// missing names the programs that are under none of the directories.
func missing(roots []string) error {
	var lacks []string
	for _, p := range programs() {
		if !there(p.path, roots) {
			lacks = append(lacks, fmt.Sprintf("%s (package %s)", p.path, p.pkg))
		}
	}
	if lacks == nil {
		return nil
	}
	return fmt.Errorf("not found: %s; install the packages: apt-get install --no-install-recommends frr openssh-server "+
		"(they start daemons of their own, which systemctl disable --now frr ssh ends)", strings.Join(lacks, ", "))
}

// isRoot tells the machine's root from that of a user namespace, which has one
// user: FRR and sshd change theirs.
func isRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("FRR and its SSH server have users of their own: run as root")
	}
	groups, err := os.ReadFile("/proc/self/setgroups")
	if err != nil {
		return fmt.Errorf("see whether this is the machine's root: %w", err)
	}
	if strings.TrimSpace(string(groups)) != "allow" {
		return errors.New("FRR and its SSH server have users of their own, which a user namespace has not: run as root")
	}
	return nil
}

// there reports whether a program is under one of the directories.
func there(path string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		info, err := os.Stat(filepath.Join(root, path))
		return err == nil && !info.IsDir()
	})
}
