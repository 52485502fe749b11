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
	if best, ok := nearest(word, candidates); ok {
		return fmt.Sprintf(", did you mean %s?", best)
	}
	if len(candidates) == 0 || len(candidates) > 16 {
		return ""
	}
	candidates = slices.Sorted(slices.Values(candidates))
	return "; known here: " + strings.Join(candidates, ", ")
}

// nearest returns the candidate with the fewest slips from word, if they are
// few enough for a slip: one in three letters, and no more than three.
func nearest(word string, candidates []string) (string, bool) {
	if word == "" || len(word) > suggestLimit {
		return "", false
	}
	best, fewest := "", min(3, max(1, len(word)/3))+1
	for _, candidate := range candidates {
		if len(candidate) > suggestLimit {
			continue
		}
		slips := distance(strings.ToLower(word), strings.ToLower(candidate))
		if slips < fewest || slips == fewest && best != "" && candidate < best {
			best, fewest = candidate, slips
		}
	}
	return best, best != ""
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
