// Package openapi is the test that holds docs/openapi.yaml to the code: its schemas
// are made from the types of package api and their comments, its paths from a list
// here, and what is served is asked for and compared.
//
//	go test ./internal/openapi -update    writes the file anew
package openapi
