package health

import "github.com/routesteer/routesteer/topology"

// A Standing is what all targets of a server have in common. The zero Standing says
// nothing.
type Standing struct {
	Clear bool // every one is up, and none asks for less than its share of the traffic
	Sound bool // none is down
}

// Standing sums up the targets of a server. Once it is asked for, it costs nothing until
// one of them flips: most servers, at most times, need no second look.
func (b *Board) Standing(server topology.ServerName) Standing {
	if known, is := b.standings[server]; is {
		return known
	}
	sum := Standing{Clear: true, Sound: true}
	take := func(state State) {
		sum.Clear = sum.Clear && state.Verdict == Up && state.Word.Whole()
		sum.Sound = sum.Sound && state.Verdict != Down
	}
	for _, target := range b.targetsOf[server] {
		if target.Member == "" {
			take(b.entry(target).State)
		}
	}
	for _, whole := range b.wholesOf[server] {
		take(b.groups[whole].State)
	}
	b.standings[server] = sum
	return sum
}

// flipped forgets the standings of servers of which targets flipped.
func (b *Board) flipped(flips []Flip) []Flip {
	for _, flip := range flips {
		delete(b.standings, flip.Target.Server)
	}
	return flips
}
