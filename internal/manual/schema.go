package manual

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// A Section is a mapping of the configuration file, and its keys.
type Section struct {
	Path string // where it is in the file: "checks.NAME.http"; "" for the whole
	Keys []Key
}

// A Key is one key of a mapping.
type Key struct {
	Name    string
	What    string // a sentence or more
	Form    string // what is written: "a time", "a number, 1 to 100"
	Section string // the path of the section about its mapping, if it can be one
	Default string // as it would be written; "" if there is none
	Must    bool   // it cannot be left out
}

// Sections reads the schema of the configuration file. It comes in the order
// of the schema, which is that of the example: JSON is YAML, whose nodes keep it.
func Sections(schema []byte) ([]Section, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(schema, &document); err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	r := &reader{root: document.Content[0], pathOf: map[string]string{}}
	r.section("", r.resolve(r.root))
	return r.sections, nil
}

// A reader walks a schema, and meets each mapping once.
type reader struct {
	root     *yaml.Node
	sections []Section
	pathOf   map[string]string // where a definition was met first
}

// section reads a mapping, and then those within it.
func (r *reader) section(path string, node *yaml.Node) {
	at := len(r.sections)
	r.sections = append(r.sections, Section{Path: path})
	must := map[string]bool{}
	for _, name := range contents(field(node, "required")) {
		must[name.Value] = true
	}
	properties := field(node, "properties")
	for i := 0; properties != nil && i < len(properties.Content); i += 2 {
		name := properties.Content[i].Value
		key := r.key(joined(path, name), name, properties.Content[i+1])
		key.Must = must[name]
		r.sections[at].Keys = append(r.sections[at].Keys, key)
	}
}

func (r *reader) key(path, name string, node *yaml.Node) Key {
	forms, section := r.forms(path, node)
	return Key{Name: name, What: text(field(node, "description")), Form: strings.Join(forms, "; or "), Section: section, Default: inline(field(node, "default"))}
}

// forms says how a value may be written, and where the mapping is described
// that it may be.
func (r *reader) forms(path string, node *yaml.Node) (forms []string, section string) {
	if reference := text(field(node, "$ref")); reference != "" {
		return r.named(path, reference)
	}
	if choices := field(node, "oneOf"); choices != nil && field(node, "properties") == nil {
		for _, choice := range contents(choices) {
			more, within := r.forms(path, choice)
			forms = append(forms, more...)
			section = strings.TrimSpace(section + within)
		}
		return forms, section
	}
	switch {
	case field(node, "properties") != nil:
		return []string{"a mapping"}, r.once(path, path, node)
	case field(node, "additionalProperties") != nil && text(field(node, "type")) == "object":
		return r.table(path, field(node, "additionalProperties"))
	case field(node, "items") != nil:
		within, section := r.forms(path+"[]", field(node, "items"))
		return []string{"a list of these: " + strings.Join(within, ", ")}, section
	}
	return []string{scalar(node)}, ""
}

// table is a mapping whose keys are names that the operator gives.
func (r *reader) table(path string, node *yaml.Node) ([]string, string) {
	within, section := r.forms(joined(path, "NAME"), node)
	return []string{"names, and for each: " + strings.Join(within, "; or ")}, section
}

// words are definitions that need no more than to be named.
var words = map[string]string{
	"address": "an address", "prefix": "a prefix or an address", "name": "a name", "duration": "a time such as 200ms, 1m30s", "port": "a port",
	"path": "a path", "file": "a path", "host": "a host name", "domain": "a domain name", "tier": "a name, or a list of names",
	"members": "a name, or a list of names", "status": "codes", "community": "a community", "asn": "a number of an AS", "headers": "names and values",
	"minDays": "a number of days",
}

// named is a form that has a definition of its own.
func (r *reader) named(path, reference string) ([]string, string) {
	name := strings.TrimPrefix(reference, "#/$defs/")
	if word, ok := words[name]; ok {
		return []string{word}, ""
	}
	node := r.resolve(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Value: "$ref"}, {Value: reference}}})
	if field(node, "properties") != nil {
		return []string{"a mapping"}, r.once(name, path, node)
	}
	return r.forms(path, node)
}

// once describes a mapping where it is met first, and returns where that is.
func (r *reader) once(name, path string, node *yaml.Node) string {
	if at, met := r.pathOf[name]; met {
		return at
	}
	r.pathOf[name] = path
	if len(contents(field(node, "properties"))) == 0 {
		return ""
	}
	r.section(path, node)
	return path
}

// resolve follows a reference.
func (r *reader) resolve(node *yaml.Node) *yaml.Node {
	reference := text(field(node, "$ref"))
	if reference == "" {
		return node
	}
	at := r.root
	for _, step := range strings.Split(strings.TrimPrefix(reference, "#/"), "/") {
		if at = field(at, step); at == nil {
			panic("manual: the schema has no " + reference)
		}
	}
	return at
}

// scalar says what one word may be.
func scalar(node *yaml.Node) string {
	if choices := field(node, "enum"); choices != nil {
		var all []string
		for _, choice := range choices.Content {
			if choice.Tag != "!!bool" { // YAML 1.1 reads off as false; nobody has to know
				all = append(all, choice.Value)
			}
		}
		return strings.Join(all, ", ")
	}
	if only := field(node, "const"); only != nil {
		return only.Value
	}
	switch kind := text(field(node, "type")); kind {
	case "integer":
		return "a number" + bounds(node)
	case "boolean":
		return "true or false"
	case "null":
		return "nothing"
	default:
		return "text"
	}
}

func bounds(node *yaml.Node) string {
	low, high := text(field(node, "minimum")), text(field(node, "maximum"))
	switch {
	case low != "" && high != "":
		return ", " + low + " to " + high
	case low != "":
		return ", " + low + " or more"
	default:
		return ""
	}
}

// field returns what a mapping has under key, or nil.
func field(node *yaml.Node, key string) *yaml.Node {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

func contents(node *yaml.Node) []*yaml.Node {
	if node == nil {
		return nil
	}
	return node.Content
}

func text(node *yaml.Node) string {
	if node == nil {
		return ""
	}
	return node.Value
}

// inline writes a default on one line, as it would be in the file.
func inline(node *yaml.Node) string {
	switch {
	case node == nil:
		return ""
	case node.Kind == yaml.MappingNode:
		var parts []string
		for i := 0; i+1 < len(node.Content); i += 2 {
			parts = append(parts, node.Content[i].Value+": "+inline(node.Content[i+1]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case node.Kind == yaml.SequenceNode:
		return "[]"
	case node.Value == "":
		return `""`
	default:
		return node.Value
	}
}

func joined(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
