package manual

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Commands returns the man page of a command and of each below it that is
// documented, by the names of their files.
func Commands(root *cobra.Command) map[string]string {
	root.InitDefaultHelpFlag()
	pages := map[string]string{fileOf(root): Command(root)}
	for _, command := range root.Commands() {
		if !command.IsAvailableCommand() || command.Name() == "help" {
			continue
		}
		for file, page := range Commands(command) {
			pages[file] = page
		}
	}
	return pages
}

// fileOf names the file of a command's man page: routesteer-lab-report.1.
func fileOf(command *cobra.Command) string { return pageOf(command) + ".1" }

func pageOf(command *cobra.Command) string {
	return strings.ReplaceAll(command.CommandPath(), " ", "-")
}

// Command returns the man page of one command.
func Command(command *cobra.Command) string {
	p := newPage(pageOf(command), 1, "routesteer manual")
	p.section("Name")
	fmt.Fprintf(p, "%s \\- %s\n", escape(pageOf(command)), escape(lowerFirst(command.Short)))
	p.section("Synopsis")
	p.text(synopsis(command))
	p.section("Description")
	p.text(describe(command))
	writeCommands(p, command)
	writeFlags(p, "Options", command.NonInheritedFlags())
	writeFlags(p, "Options of every command", command.InheritedFlags())
	if command.HasExample() {
		p.section("Examples")
		p.example(command.Example)
	}
	writeFiles(p, command)
	p.section("See also")
	p.text(strings.Join(seeAlso(command), ", "))
	return p.String()
}

func synopsis(command *cobra.Command) string {
	if command.Runnable() {
		return command.UseLine()
	}
	return command.CommandPath() + " COMMAND"
}

func describe(command *cobra.Command) string {
	if command.Long != "" {
		return command.Long
	}
	return command.Short + "."
}

func writeCommands(p *page, command *cobra.Command) {
	first := true
	for _, c := range command.Commands() {
		if !c.IsAvailableCommand() || c.Name() == "help" {
			continue
		}
		if first {
			p.section("Commands")
			first = false
		}
		p.item(pageOf(c)+"(1)", c.Short+".")
	}
}

func writeFlags(p *page, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	p.section(title)
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden {
			return
		}
		name, usage := pflag.UnquoteUsage(flag)
		term := "--" + flag.Name
		if flag.Shorthand != "" {
			term = "-" + flag.Shorthand + ", " + term
		}
		if name != "" {
			term += " " + name
		}
		p.item(term, usage+preset(flag))
	})
}

// preset says what a flag is where nobody gives it, if that is worth saying.
func preset(flag *pflag.Flag) string {
	switch flag.DefValue {
	case "", "false", "0", "[]", "0s":
		return "."
	}
	return " (default " + flag.DefValue + ")."
}

// writeFiles tells of files, on the one page that everybody looks at.
func writeFiles(p *page, command *cobra.Command) {
	if command.HasParent() {
		return
	}
	p.section("Files")
	p.item("/etc/routesteer/routesteer.yaml", "What the site is: routesteer.yaml(5).")
	p.item("/run/routesteer/routesteer.sock", "Where a controller listens for commands. Members of its group may use it.")
	p.item("/var/lib/routesteer/state.json", "What operators have asked for, across restarts.")
}

func seeAlso(command *cobra.Command) []string {
	also := []string{"routesteer.yaml(5)"}
	for c := command.Parent(); c != nil; c = c.Parent() {
		also = append([]string{pageOf(c) + "(1)"}, also...)
	}
	return also
}

func lowerFirst(text string) string { return strings.ToLower(text[:1]) + text[1:] }
