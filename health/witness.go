package health

import (
	"net/netip"
	"time"
)

// A Heard is news that a witness answered an echo: an address that has nothing to
// do with the servers, by which it is known that the controller is not cut off.
// It comes with each answer.
type Heard struct {
	Address netip.Addr
	Asked   time.Time // when the echo was sent that was answered
	Since   time.Time // when the first of the echoes was sent that were all answered; zero for those of a start
}

func (Heard) news() {}

// together is how far apart answers of several witnesses are of the same time.
const together = 2 * time.Second

// heard notes an answer.
func (b *Board) heard(news Heard) {
	if before, known := b.witnesses[news.Address]; known && before.Asked.After(news.Asked) {
		return // answers overtook each other
	}
	b.witnesses[news.Address] = news
}

// Witness says when the last echo was sent that any witness answered, and since
// when one has answered all; zero times for never and for always.
func (b *Board) Witness() (heard, since time.Time) {
	for _, w := range b.witnesses {
		if w.Asked.After(heard) {
			heard = w.Asked
		}
	}
	first := true
	for _, w := range b.witnesses {
		if heard.Sub(w.Asked) > together {
			continue // silent: the others count
		}
		if first || w.Since.Before(since) {
			first, since = false, w.Since
		}
	}
	return heard, since
}
