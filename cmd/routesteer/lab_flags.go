package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/internal/lab"
)

// labSiteFlags are the flags of all commands that build a lab.
func labSiteFlags(command *cobra.Command, options *lab.Options) {
	options.Servers, options.VIPs, options.Profile, options.Family = 4, 4, lab.Default, lab.IPv4
	flags := command.Flags()
	profile := &choice[lab.Profile]{&options.Profile, []lab.Profile{lab.Default, lab.Fast}}
	flags.Var(profile, "profile", "intervals of checks: default or fast")
	flags.Var(&wholeNumber{&options.Servers, 1, lab.MaxServers}, "servers", "how many web servers")
	flags.Var(&wholeNumber{&options.VIPs, 1, lab.MaxVIPs}, "vips", "how many VIPs; each server is the primary of its share")
	flags.BoolFunc("ipv6", "build the site in IPv6", func(text string) error {
		six, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("want true or false")
		}
		options.Family = lab.IPv4
		if six {
			options.Family = lab.IPv6
		}
		return nil
	})
	options.Router = lab.RouterLinux
	router := &choice[lab.RouterKind]{&options.Router, lab.RouterKinds()}
	flags.Var(router, "router", "what holds the routes: linux, the kernel; frr, steered over SSH (needs root, FRR and sshd); bird, told by BGP (needs BIRD 2); or frr-bgp, likewise (needs what frr does)")
	profile.complete(command, "profile")
	router.complete(command, "router")
}

// labLinksFlag is for commands to which the wiring matters, and is theirs to choose.
func labLinksFlag(command *cobra.Command, options *lab.Options) {
	options.Links = lab.Switched
	links := &choice[lab.Links]{&options.Links, []lab.Links{lab.Switched, lab.Direct}}
	command.Flags().Var(links, "links", "how servers are wired: switched or direct")
	links.complete(command, "links")
}

// labEstablishedFlag is for commands whose client may keep connections.
func labEstablishedFlag(command *cobra.Command, options *lab.LoadOptions) {
	command.Flags().Var(&wholeNumber{&options.Established, 0, lab.MaxEstablished}, "established",
		"established connections that the client keeps, each with a request every 1 to 2 s")
}

// A wholeNumber is a pflag.Value from least to most.
type wholeNumber struct {
	n           *int
	least, most int
}

func (w *wholeNumber) String() string {
	if w.n == nil {
		return "0" // pflag asks a zero value, too
	}
	return strconv.Itoa(*w.n)
}

func (w *wholeNumber) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < w.least || n > w.most {
		return fmt.Errorf("want a whole number from %d to %d", w.least, w.most)
	}
	*w.n = n
	return nil
}

func (*wholeNumber) Type() string { return "N" }

// A choice is a pflag.Value: one of some words.
type choice[T ~string] struct {
	value *T
	words []T
}

func (c *choice[T]) String() string {
	if c.value == nil {
		return ""
	}
	return string(*c.value)
}

func (c *choice[T]) Set(text string) error {
	if !slices.Contains(c.words, T(text)) {
		return fmt.Errorf("want %s", strings.Join(c.names(), " or "))
	}
	*c.value = T(text)
	return nil
}

func (c *choice[T]) Type() string { return strings.Join(c.names(), "|") }

func (c *choice[T]) names() []string {
	names := make([]string, len(c.words))
	for i, word := range c.words {
		names[i] = string(word)
	}
	return names
}

// complete lets shells complete the words.
func (c *choice[T]) complete(command *cobra.Command, flag string) {
	completeWords(command, flag, c.names())
}
