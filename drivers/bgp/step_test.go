package bgp

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/steer"
)

// TestAStepLeavesNoMomentWithoutAPath: whatever a prefix has, after the step it
// has what is wanted, paths that stay keep their identifier, no identifier is
// used twice, and what is announced comes before what goes.
func TestAStepLeavesNoMomentWithoutAPath(t *testing.T) {
	carried := []*attributes{{words: "a"}, {words: "b"}}
	rapid.Check(t, func(t *rapid.T) {
		var have []slot
		for range rapid.IntRange(1, 5).Draw(t, "moves") {
			want := targets(drawHops(t), rapid.SampledFrom(carried).Draw(t, "attributes"))
			gentle := rapid.Bool().Draw(t, "gentle")
			s := newStep(have, want, gentle)
			table := map[uint32]target{}
			for _, slot := range have {
				table[slot.id] = slot.to
			}
			for _, slot := range slices.Concat(s.placed, s.besides) {
				if _, taken := table[slot.id]; taken && gentle {
					t.Fatalf("a gentle step replaces path %d", slot.id)
				}
				table[slot.id] = slot.to
			}
			for _, slot := range s.gone {
				if delete(table, slot.id); len(table) == 0 && len(want) > 0 {
					t.Fatal("nothing is left on the way")
				}
			}
			if len(table) != len(s.after) || len(table) != len(want) {
				t.Fatalf("after %+v the table has %v", s, table)
			}
			for _, slot := range s.after {
				if table[slot.id] != slot.to || !slices.Contains(want, slot.to) {
					t.Fatalf("after %+v the table has %v, want %v", s, table, want)
				}
			}
			have = s.after
		}
	})
}

// drawHops draws up to three next hops, with weights.
func drawHops(t *rapid.T) []steer.NextHop {
	var hops []steer.NextHop
	for _, a := range rapid.SliceOfNDistinct(rapid.IntRange(1, 4), 0, 3, rapid.ID[int]).Draw(t, "hops") {
		hops = append(hops, steer.NextHop{
			Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(a)}), Weight: rapid.IntRange(1, 2).Draw(t, "weight"),
		})
	}
	return normal(hops)
}

// TestTheMemoryIsReadBack whatever was announced, and nothing that is not a
// memory is taken for one.
func TestTheMemoryIsReadBack(t *testing.T) {
	path := t.TempDir() + "/memory"
	m := newMemory(path, defaultRestart(), quiet())
	rapid.Check(t, func(t *rapid.T) {
		want := map[netip.Prefix][]steer.NextHop{}
		for i := range rapid.IntRange(0, 5).Draw(t, "prefixes") {
			if hops := drawHops(t); len(hops) > 0 {
				want[many(i + 1)[i]] = hops
			}
		}
		m.save(want)
		got := m.load()
		for p, hops := range want {
			if !slices.Equal(got[p], hops) {
				t.Fatalf("%s: got %v, want %v", p, got[p], hops)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// FuzzMemory: a file that somebody else wrote.
func FuzzMemory(f *testing.F) {
	f.Add([]byte(`{"version":1,"routes":[{"via":[{"address":"192.0.2.1","weight":1}],"prefixes":["203.0.113.32/27"]}]}`))
	f.Add([]byte(`{"version":1,"routes":[{"via":[{"address":"","weight":-1}],"prefixes":["203.0.113.33/27",""]}]}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newMemory(t.TempDir()+"/memory", defaultRestart(), quiet())
		if err := m.write(data); err != nil {
			t.Fatal(err)
		}
		for p, hops := range m.load() {
			if fault := unusable(p, hops); fault != "" {
				t.Errorf("%s is remembered: %s", p, fault)
			}
		}
	})
}
