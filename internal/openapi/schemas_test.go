package openapi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
)

// An object is a mapping whose order counts: key, value, key, value, …
type object []any

// A schemer makes JSON Schemas (draft 2020-12, as OpenAPI 3.1 has it) of types.
type schemer struct {
	words   map[string]string // what a type, or a field ("Type.Field"), is
	strict  map[string]bool   // types with unknown fields refused: requests
	schemas map[string]object
	names   []string // of schemas, in the order in which they were met
	codes   []string // of errors
}

// newSchemer reads the comments of package api.
func newSchemer(t *testing.T) *schemer {
	t.Helper()
	s := &schemer{words: map[string]string{}, strict: map[string]bool{}, schemas: map[string]object{}}
	paths, err := filepath.Glob("../../api/*.go")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files of package api: %v", err)
	}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			s.read(decl)
		}
	}
	return s
}

func (s *schemer) read(decl ast.Decl) {
	if decl, is := decl.(*ast.GenDecl); is {
		for _, spec := range decl.Specs {
			s.readSpec(decl, spec)
		}
	}
}

func (s *schemer) readSpec(decl *ast.GenDecl, spec ast.Spec) {
	if value, is := spec.(*ast.ValueSpec); is {
		if kind, named := value.Type.(*ast.Ident); named && kind.Name == "ErrorCode" {
			s.codes = append(s.codes, strings.Trim(value.Values[0].(*ast.BasicLit).Value, `"`))
		}
		return
	}
	of, is := spec.(*ast.TypeSpec)
	if !is {
		return
	}
	s.words[of.Name.Name] = prose(decl.Doc)
	fields, is := of.Type.(*ast.StructType)
	if !is {
		return
	}
	for _, field := range fields.Fields.List {
		for _, name := range field.Names {
			s.words[of.Name.Name+"."+name.Name] = prose(field.Doc, field.Comment)
		}
	}
}

// prose is a comment on one line.
func prose(groups ...*ast.CommentGroup) string {
	var words []string
	for _, group := range groups {
		words = append(words, strings.Fields(group.Text())...)
	}
	return strings.Join(words, " ")
}

// of returns the schema of a type; a struct's is a reference to its own.
func (s *schemer) of(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type", "string", "format", "date-time"}
	case t == reflect.TypeFor[api.ErrorCode]():
		return object{"type", "string", "enum", s.codes}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Slice:
		return object{"type", "array", "items", s.of(t.Elem())}
	case reflect.String:
		return object{"type", "string"}
	case reflect.Bool:
		return object{"type", "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type", "integer", "format", "int64"}
	case reflect.Uint64:
		return object{"type", "integer", "format", "int64", "minimum", 0}
	case reflect.Float64:
		return object{"type", "number"}
	case reflect.Struct:
		s.define(t)
		return object{"$ref", "#/components/schemas/" + t.Name()}
	default:
		panic("openapi: no schema for " + t.String())
	}
}

// define makes the schema of a struct.
func (s *schemer) define(t reflect.Type) {
	if _, known := s.schemas[t.Name()]; known {
		return
	}
	s.schemas[t.Name()] = nil // being made
	s.names = append(s.names, t.Name())
	properties, required := object{}, []string{}
	s.fields(t, &properties, &required)
	schema := object{}
	if words := s.words[t.Name()]; words != "" {
		schema = append(schema, "description", words)
	}
	schema = append(schema, "type", "object", "properties", properties)
	if len(required) > 0 {
		schema = append(schema, "required", required)
	}
	if s.strict[t.Name()] {
		schema = append(schema, "additionalProperties", false)
	}
	s.schemas[t.Name()] = schema
}

// fields adds the fields of a struct, and of those that it embeds.
func (s *schemer) fields(t reflect.Type, properties *object, required *[]string) {
	for field := range fieldsOf(t) {
		if field.Anonymous {
			s.fields(field.Type, properties, required)
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		schema := s.of(field.Type)
		if words := s.words[t.Name()+"."+field.Name]; words != "" {
			schema = append(object{"description", words}, schema...)
		}
		*properties = append(*properties, name, schema)
		if options == "" {
			*required = append(*required, name)
		}
	}
}

func fieldsOf(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}
