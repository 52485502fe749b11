package flows

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/google/nftables"
	mdnetlink "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// atOnce is how many elements go in one message: the kernel's attribute that
	// holds them is limited to 64 KiB.
	atOnce = 256
	// stepsAtOnce is how many prefixes go in one transaction: all in it change at
	// one moment. Its messages must fit a socket buffer.
	stepsAtOnce = 8192
	// socketRoom is the size of that buffer in bytes.
	socketRoom = 4 << 20
)

// roomy lets a large transaction into the kernel. Without CAP_NET_ADMIN it
// stays as it is, and there will be no transaction.
func roomy(conn *mdnetlink.Conn) error {
	return errors.Join(conn.SetWriteBuffer(socketRoom), conn.SetReadBuffer(socketRoom))
}

// A half is the nftables table of one family. It is there only while something
// is in transition.
type half struct {
	conn    *nftables.Conn
	family  *family
	options Options
	table   *nftables.Table
	sets    *sets
	loaded  bool
	// under is what the kernel has in transition, as of the last look and what we
	// did since. To look takes long where there are very many.
	under map[netip.Prefix]element
}

func newHalf(conn *nftables.Conn, f *family, o Options) *half {
	h := &half{conn: conn, family: f, options: o, table: &nftables.Table{Name: tableName, Family: f.table}}
	h.sets = newSets(f, h.table, o)
	return h
}

// An element is a prefix in transition, as the kernel has it.
type element struct {
	base, next   uint32 // marks
	since, until time.Time
	learning     bool // perhaps
}

// left is how long the transition goes on: what the kernel takes for a timeout.
func (e element) left() time.Duration { return max(time.Until(e.until), time.Millisecond) }

// exists reports whether the table is there, whoever made it.
func (h *half) exists() (bool, error) {
	tables, err := h.conn.ListTablesOfFamily(h.family.table)
	if err != nil {
		return false, fmt.Errorf("list nftables tables: %w", err)
	}
	return slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == tableName }), nil
}

// find looks for the table.
func (h *half) find() error {
	var err error
	if h.loaded, err = h.exists(); err != nil || !h.loaded {
		return err
	}
	for _, set := range h.sets.all() {
		have, err := h.conn.GetSetByName(h.table, set.Name)
		if err != nil {
			return fmt.Errorf("nftables table %s is not as this version of routesteer makes it (no set %s: %w): "+
				"remove it, which cuts connections of moves that are under way, with nft delete table %s %s",
				tableName, set.Name, err, h.family.word(), tableName)
		}
		set.Timeout = have.Timeout // of the controller that made it
	}
	return h.look()
}

// look reads what is under way.
func (h *half) look() error {
	h.under = nil
	if !h.loaded {
		return nil
	}
	now := time.Now()
	all := map[netip.Prefix]element{}
	for _, part := range []struct {
		set  *nftables.Set
		take func(*element, uint32, nftables.SetElement)
	}{
		{h.sets.base, func(e *element, mark uint32, raw nftables.SetElement) {
			e.base = mark
			e.until = now.Add(raw.Expires)
			e.since = e.until.Add(-raw.Timeout)
		}},
		{h.sets.next, func(e *element, mark uint32, _ nftables.SetElement) { e.next = mark }},
		{h.sets.learn, func(e *element, _ uint32, _ nftables.SetElement) { e.learning = true }},
	} {
		raw, err := h.conn.GetSetElements(part.set)
		if err != nil {
			// The library does not say which error it is.
			if there, _ := h.exists(); !there { // somebody flushed the ruleset: nothing is under way any more
				h.loaded = false
				return nil
			}
			return fmt.Errorf("read the nftables set %s: %w", part.set.Name, err)
		}
		for prefix, found := range intervals(raw) {
			e := all[prefix]
			if mark, ok := readMark(found.Val); ok {
				part.take(&e, mark, found)
			}
			all[prefix] = e
		}
	}
	// One of the two may have expired an instant before the other.
	for prefix, e := range all {
		if e.base == 0 || e.next == 0 {
			delete(all, prefix)
		}
	}
	h.under = all
	return nil
}

// intervals puts prefixes together from the elements of an interval set, which
// the kernel lists in any order: each has its first address, and the next
// larger end.
func intervals(raw []nftables.SetElement) map[netip.Prefix]nftables.SetElement {
	raw = slices.Clone(raw)
	slices.SortFunc(raw, func(a, b nftables.SetElement) int {
		if c := slices.Compare(a.Key, b.Key); c != 0 {
			return c
		}
		switch { // of an end and a beginning at one place, the end comes first
		case a.IntervalEnd == b.IntervalEnd:
			return 0
		case a.IntervalEnd:
			return -1
		default:
			return 1
		}
	})
	all := map[netip.Prefix]nftables.SetElement{}
	for i, e := range raw {
		if e.IntervalEnd {
			continue
		}
		var beyond []byte
		if i+1 < len(raw) {
			beyond = raw[i+1].Key
		}
		if p := prefixOf(e.Key, beyond); p.IsValid() {
			all[p] = e
		}
	}
	return all
}

// begin makes the steps, and the table if it is not there.
func (h *half) begin(steps []step) error {
	now := time.Now()
	err := h.inParts(steps, func(part []step) {
		h.load()
		h.remove(part)
		h.put(h.sets.base, part, func(s step) (uint32, time.Duration) { return s.base, h.options.Timeout })
		h.put(h.sets.next, part, func(s step) (uint32, time.Duration) { return s.next, h.options.Timeout })
		if h.options.StickyUDP {
			h.put(h.sets.learn, part, func(s step) (uint32, time.Duration) { return s.from, min(learnFor, h.options.Timeout) })
		}
	})
	if err != nil {
		return errors.Join(err, h.look())
	}
	if h.under == nil {
		h.under = map[netip.Prefix]element{}
	}
	for _, s := range steps {
		h.under[s.prefix] = element{base: s.base, next: s.next, since: now, until: now.Add(h.options.Timeout), learning: h.options.StickyUDP}
	}
	return nil
}

// redirect gives new flows of prefixes in transition another way, for the time
// that is left.
func (h *half) redirect(steps []step) error {
	err := h.inParts(steps, func(part []step) {
		h.remove(part)
		h.put(h.sets.base, part, func(s step) (uint32, time.Duration) { return s.base, s.was.left() })
		h.put(h.sets.next, part, func(s step) (uint32, time.Duration) { return s.next, s.was.left() })
	})
	if err != nil {
		return errors.Join(err, h.look())
	}
	for _, s := range steps {
		e := s.was
		e.base, e.next, e.learning = s.base, s.next, false
		h.under[s.prefix] = e
	}
	return nil
}

// inParts makes transactions of parts of the steps. One that meets what has
// expired meanwhile fails, with ENOENT.
func (h *half) inParts(steps []step, queue func([]step)) error {
	for part := range slices.Chunk(steps, stepsAtOnce) {
		queue(part)
		if err := h.conn.Flush(); err != nil {
			return fmt.Errorf("load the nftables table %s %s: %w", h.family.word(), tableName, err)
		}
		h.loaded = true
	}
	return nil
}

// load queues the table, its sets and rules, if they are not there.
func (h *half) load() {
	if h.loaded {
		return
	}
	h.sets = newSets(h.family, h.table, h.options)
	h.conn.CreateTable(h.table)
	for _, set := range h.sets.all() {
		// The error would be of an anonymous set, or of more types than a key may have.
		if err := h.conn.AddSet(set, nil); err != nil {
			panic("flows: " + err.Error())
		}
	}
	w := &writer{conn: h.conn, family: h.family, sets: h.sets}
	w.rules(h.options.StickyUDP)
}

// remove queues the removal of what is under way for the steps' prefixes: the
// kernel does not change a map's value, but takes the two in one transaction.
func (h *half) remove(steps []step) {
	under := slices.DeleteFunc(slices.Clone(steps), func(s step) bool { return s.was.next == 0 })
	mark := func(value func(step) uint32) func(step) (uint32, time.Duration) {
		return func(s step) (uint32, time.Duration) { return value(s), 0 }
	}
	h.take(h.sets.base, under, mark(func(s step) uint32 { return s.was.base }))
	h.take(h.sets.next, under, mark(func(s step) uint32 { return s.was.next }))
	learning := slices.DeleteFunc(under, func(s step) bool { return !s.was.learning })
	h.take(h.sets.learn, learning, mark(func(s step) uint32 { return s.was.base }))
}

// put queues elements, take their removal. value gives an element's mark and
// timeout.
func (h *half) put(set *nftables.Set, steps []step, value func(step) (uint32, time.Duration)) {
	h.chunks(steps, value, func(elements []nftables.SetElement) error { return h.conn.SetAddElements(set, elements) })
}

func (h *half) take(set *nftables.Set, steps []step, value func(step) (uint32, time.Duration)) {
	h.chunks(steps, value, func(elements []nftables.SetElement) error { return h.conn.SetDeleteElements(set, elements) })
}

func (h *half) chunks(steps []step, value func(step) (uint32, time.Duration), queue func([]nftables.SetElement) error) {
	for part := range slices.Chunk(steps, atOnce/2) {
		var elements []nftables.SetElement
		for _, s := range part {
			first, beyond := interval(s.prefix)
			mark, timeout := value(s)
			elements = append(elements, nftables.SetElement{Key: first, Val: putMark(mark), Timeout: timeout})
			if beyond != nil {
				elements = append(elements, nftables.SetElement{Key: beyond, IntervalEnd: true})
			}
		}
		if err := queue(elements); err != nil {
			panic("flows: " + err.Error()) // of an anonymous set, or one that cannot be encoded
		}
	}
}

// drop removes the table with all it holds.
func (h *half) drop() error {
	h.conn.DelTable(h.table)
	if err := h.conn.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove the nftables table %s %s: %w", h.family.word(), tableName, err)
	}
	h.loaded, h.under = false, nil
	return nil
}

// rewrite removes flows from a map and notes others, some in a transaction. A flow that
// has expired meanwhile makes its transaction fail; then the rest of it goes one
// by one.
func (h *half) rewrite(set *nftables.Set, gone, made []nftables.SetElement) error {
	for len(gone) > 0 {
		n := min(atOnce, len(gone))
		part := []nftables.SetElement(nil)
		if made != nil {
			part, made = made[:n], made[n:]
		}
		if err := h.rewritePart(set, gone[:n], part); err != nil {
			return err
		}
		gone = gone[n:]
	}
	return nil
}

func (h *half) rewritePart(set *nftables.Set, gone, made []nftables.SetElement) error {
	err := errors.Join(h.conn.SetDeleteElements(set, gone), h.conn.SetAddElements(set, made), h.conn.Flush())
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, unix.ENOENT):
		return fmt.Errorf("change flows in the nftables table %s: %w", tableName, err)
	case len(gone) == 1:
		return nil // it has ended by itself
	}
	half := len(gone) / 2
	if made == nil {
		return errors.Join(h.rewritePart(set, gone[:half], nil), h.rewritePart(set, gone[half:], nil))
	}
	return errors.Join(h.rewritePart(set, gone[:half], made[:half]), h.rewritePart(set, gone[half:], made[half:]))
}
