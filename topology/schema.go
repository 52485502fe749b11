package topology

import (
	_ "embed" // for schema.json
)

// schemaJSON is a string, which cannot be changed, unlike a slice.
//
//go:embed schema.json
var schemaJSON string

// Schema returns the JSON Schema (draft 2020-12) of the configuration file,
// for editors that complete and explain keys. Parse is stricter.
func Schema() []byte { return []byte(schemaJSON) }
