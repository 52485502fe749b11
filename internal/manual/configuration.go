package manual

import (
	"fmt"
	"strings"
)

const introduction = `routesteer reads one file, /etc/routesteer/routesteer.yaml unless it is told otherwise.
What must be in it is servers, VIPs with a prefix each, and one router; every other key has a default.

The file is YAML. A key that is not known, a name that does not exist, prefixes that overlap and the like
are errors, told all at once with line and column by "routesteer validate". Nothing starts on a bad file, and
a reload of one changes nothing. Times are written with a unit: 200ms, 1s, 1m30s, 24h. Secrets are never
in the file: it says where they are.

In the headings below NAME stands for a name of yours, and [] for each item of a list.`

// ConfigurationPage returns the man page routesteer.yaml(5).
func ConfigurationPage(sections []Section, example string) string {
	p := newPage("routesteer.yaml", 5, "routesteer manual")
	p.section("Name")
	p.WriteString("routesteer.yaml \\- the servers, VIPs, checks, routers and policy of one site\n")
	p.section("Description")
	p.text(introduction)
	p.section("Keys")
	for _, section := range sections {
		p.subsection(title(section.Path))
		for _, key := range section.Keys {
			p.item(key.Name, key.What, facts(key, func(path string) string { return "see " + path })+".")
		}
	}
	p.section("Example")
	p.example(example)
	p.section("See also")
	p.text("routesteer(1), routesteer-validate(1), routesteer-schema(1), routesteer-reload(1)")
	return p.String()
}

// ConfigurationMarkdown returns the same for docs/configuration.md.
func ConfigurationMarkdown(sections []Section, example string) string {
	var b strings.Builder
	b.WriteString("# The configuration file\n\n")
	b.WriteString("<!-- Written by `make docs` from topology/schema.json and routesteer.example.yaml: change those. -->\n\n")
	b.WriteString(introduction + "\n\n`routesteer schema` prints the JSON Schema that this page is made of, which editors know to complete keys with.\n")
	for _, section := range sections {
		fmt.Fprintf(&b, "\n## %s\n\n| key | what | form | default |\n|---|---|---|---|\n", title(section.Path))
		for _, key := range section.Keys {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", key.Name, cellText(key.What), cellText(form(key, link)), defaultCell(key))
		}
	}
	b.WriteString("\n## Every key in one file\n\n```yaml\n" + strings.TrimRight(example, "\n") + "\n```\n")
	return b.String()
}

// title names a section where it has a heading.
func title(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

// facts say in one line what may be written.
func facts(key Key, see func(string) string) string {
	text := "Form: " + form(key, see)
	switch {
	case key.Must:
		text += ". It must be there"
	case key.Default != "":
		text += ". Default: " + key.Default
	}
	return text
}

func form(key Key, see func(string) string) string {
	if key.Section == "" {
		return key.Form
	}
	return key.Form + " (" + see(key.Section) + ")"
}

// link is how GitHub and others make anchors of headings.
func link(path string) string {
	anchor := strings.NewReplacer(".", "", "[]", "").Replace(strings.ToLower(path))
	return fmt.Sprintf("[%s](#%s)", path, anchor)
}

func defaultCell(key Key) string {
	switch {
	case key.Must:
		return "it must be there"
	case key.Default == "":
		return ""
	default:
		return "`" + key.Default + "`"
	}
}

func cellText(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
