package topology

import (
	"fmt"
	"slices"
	"strings"
)

// suggestLimit bounds the words that suggest compares: a longer one is no
// slip of the finger, and the comparison costs the product of the lengths.
const suggestLimit = 64

// suggest says what was probably meant by word: ", did you mean web1?", or,
// when no candidate is near, the candidates themselves if they are few.
func suggest(word string, candidates []string) string {
	if near := Nearest(word, candidates); len(near) > 0 {
		return fmt.Sprintf(", did you mean %s?", strings.Join(near, " or "))
	}
	if len(candidates) == 0 || len(candidates) > 16 {
		return ""
	}
	return "; known here: " + strings.Join(slices.Sorted(slices.Values(candidates)), ", ")
}

// Nearest returns the candidates with the fewest slips from word, sorted: none
// when that is too many for a slip (one in three letters, and three in all),
// or when so many are near that naming them is no help (web1 to web20).
func Nearest(word string, candidates []string) []string {
	if word == "" || len(word) > suggestLimit {
		return nil
	}
	var near []string
	fewest := min(3, max(1, (len(word)+1)/3))
	for _, candidate := range candidates {
		if len(candidate) > suggestLimit {
			continue
		}
		slips := distance(strings.ToLower(word), strings.ToLower(candidate))
		if slips < fewest {
			near, fewest = nil, slips
		}
		if slips == fewest {
			near = append(near, candidate)
		}
	}
	if len(near) > 3 {
		return nil
	}
	slices.Sort(near)
	return near
}

// distance counts the letters to insert, remove, replace, or swap with a
// neighbour (the commonest slip of all) to turn a into b.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			replace := last[j]
			if a[i] != b[j] {
				replace++
			}
			row[j+1] = min(replace, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
