package iostest

import (
	"net/netip"
	"strconv"
	"strings"
)

// A grammar is how a dialect writes routes.
type grammar struct {
	dotted       bool     // IPv4 prefixes have a dotted mask
	name         string   // the keyword of the name
	words        []string // other option keywords
	lateDist     bool     // the distance may follow the options
	bare         bool     // "no" may leave out the next hop
	inconsistent string   // host bits are set
}

// A reader reads the words of a route.
type reader struct {
	grammar
	words []token
	no    bool // behind "no"
}

// parseRoute reads what stands behind "ip route", without VRF.
func (g grammar) parseRoute(words []token, v6, no bool) (*route, error) {
	rd := &reader{grammar: g, words: words, no: no}
	one := &route{}
	var err error
	if one.prefix, err = rd.prefix(v6); err != nil {
		return nil, err
	}
	if err := rd.way(one, v6); err != nil {
		return nil, err
	}
	if err := rd.distance(one); err != nil {
		return nil, err
	}
	for len(rd.words) > 0 {
		if err := rd.option(one); err != nil {
			return nil, err
		}
	}
	return one, nil
}

// next takes a word.
func (rd *reader) next() (token, error) {
	if len(rd.words) == 0 {
		return token{}, &syntaxError{kind: incomplete}
	}
	t := rd.words[0]
	rd.words = rd.words[1:]
	return t, nil
}

func (rd *reader) prefix(v6 bool) (netip.Prefix, error) {
	t, err := rd.next()
	if err != nil {
		return netip.Prefix{}, err
	}
	if rd.dotted && !v6 {
		return rd.masked(t)
	}
	p, err := netip.ParsePrefix(t.text)
	if err != nil || p.Addr().Is4() == v6 {
		return p, &syntaxError{kind: invalid, at: t.at}
	}
	if p != p.Masked() {
		return p, refuse(rd.inconsistent)
	}
	return p, nil
}

// masked reads an address and a dotted mask.
func (rd *reader) masked(t token) (netip.Prefix, error) {
	addr, err := netip.ParseAddr(t.text)
	if err != nil || !addr.Is4() {
		return netip.Prefix{}, &syntaxError{kind: invalid, at: t.at + sound(t.text)}
	}
	m, err := rd.next()
	if err != nil {
		return netip.Prefix{}, err
	}
	four, err := netip.ParseAddr(m.text)
	if err != nil || !four.Is4() {
		return netip.Prefix{}, &syntaxError{kind: invalid, at: m.at + sound(m.text)}
	}
	bits, ok := ones(four)
	if !ok {
		return netip.Prefix{}, refuse("% Bad mask " + m.text + " for address " + t.text)
	}
	p := netip.PrefixFrom(addr, bits)
	if p != p.Masked() {
		return p, refuse(rd.inconsistent)
	}
	return p, nil
}

// sound is how much of a word is read before IOS stumbles: at the slash of
// 10.0.0.0/8, at the start of anything that is no address.
func sound(word string) int {
	before, _, slash := strings.Cut(word, "/")
	if _, err := netip.ParseAddr(before); slash && err == nil {
		return len(before)
	}
	return 0
}

// ones counts the bits of a mask, unless it has holes.
func ones(mask netip.Addr) (int, bool) {
	bits, hole := 0, false
	for _, b := range mask.As4() {
		for i := 7; i >= 0; i-- {
			one := b>>i&1 == 1
			if one && hole {
				return 0, false
			}
			if one {
				bits++
			}
			hole = hole || !one
		}
	}
	return bits, true
}

// way reads the interface and the next hop. Behind "no" they may be missing.
func (rd *reader) way(one *route, v6 bool) error {
	if rd.no && rd.bare && len(rd.words) == 0 {
		return nil
	}
	t, err := rd.next()
	if err != nil {
		return err
	}
	if isInterface(t.text) {
		one.iface = t.text
		if len(rd.words) == 0 {
			return nil
		}
		if _, err := netip.ParseAddr(rd.words[0].text); err != nil {
			return nil
		}
		t, _ = rd.next()
	}
	hop, err := netip.ParseAddr(t.text)
	if err != nil || hop.Is4() == v6 {
		return &syntaxError{kind: invalid, at: t.at}
	}
	one.hop = hop
	return nil
}

// isInterface tells a name such as GigabitEthernet0/1 by its first letter and
// last digit; an address of IPv6 has a colon.
func isInterface(word string) bool {
	c := word[0] | 0x20
	last := word[len(word)-1]
	return c >= 'a' && c <= 'z' && last >= '0' && last <= '9' && !strings.Contains(word, ":")
}

// distance reads a bare number.
func (rd *reader) distance(one *route) error {
	if len(rd.words) == 0 || rd.words[0].text[0] < '0' || rd.words[0].text[0] > '9' {
		return nil
	}
	t, _ := rd.next()
	n, err := number(t, 255)
	one.distance = n
	return err
}

// number reads a number from 1 to most.
func number(t token, most int) (int, error) {
	n, err := strconv.Atoi(t.text)
	if err != nil || n < 1 || n > most {
		return 0, &syntaxError{kind: invalid, at: t.at}
	}
	return n, nil
}

// option reads a keyword and its value.
func (rd *reader) option(one *route) error {
	t := rd.words[0]
	if c := t.text[0]; rd.lateDist && one.distance == 0 && c >= '0' && c <= '9' {
		return rd.distance(one)
	}
	rd.words = rd.words[1:]
	word, err := choose(t, append([]string{rd.name}, rd.grammar.words...))
	if err != nil {
		return err
	}
	switch word {
	case "permanent":
		one.permanent = true
		return nil
	case "multicast":
		one.multicast = true
		return nil
	}
	value, err := rd.next()
	if err != nil {
		return err
	}
	return one.set(word, rd.name, value)
}

// set stores the value of an option.
func (r *route) set(word, name string, value token) error {
	switch word {
	case name:
		r.name = value.text
		return nil
	case "tag":
		_, err := number(value, 1<<32-1)
		r.tag = value.text
		return err
	case "track":
		_, err := number(value, 1000)
		r.track = value.text
		return err
	default:
		panic("iostest: no such option: " + word)
	}
}
