package main

import "testing"

func TestOneSlip(t *testing.T) {
	for _, test := range []struct {
		typed, name string
		want        bool
	}{
		{"web1", "web1", true},
		{"wbe1", "web1", true},
		{"we1", "web1", true},
		{"webb1", "web1", true},
		{"wab1", "web1", true},
		{"mail", "web1", false},
		{"1web", "web1", false},
		{"", "web1", false},
	} {
		if got := oneSlip(test.typed, test.name); got != test.want {
			t.Errorf("%q for %q: got %v", test.typed, test.name, got)
		}
	}
}
