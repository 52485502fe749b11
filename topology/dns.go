package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// dnsTypes are the types of record that can be asked for.
func dnsTypes() []string {
	return []string{"A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"}
}

// dnsRCodes are the response codes that can be wanted: RFC 1035, section 4.1.1.
func dnsRCodes() []string {
	return []string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"}
}

// readDNS reads a dns probe: a name, or a mapping with one.
func readDNS(c cursor) (*DNS, bool) {
	dns := defaultDNS()
	if c.isWord() {
		name, ok := readDomain(c)
		dns.Name = name
		return dns, ok
	}
	f, ok := c.fields(dnsObject, "a name to ask for such as www.example.com, or a mapping with name, type, answer")
	if !ok {
		return nil, false
	}
	if len(f.given("name")) == 0 {
		f.missing([]string{"name"}, "dns needs a name to ask for, such as name: www.example.com")
		return nil, false
	}
	ok = set(f, "name", &dns.Name, readDomain)
	ok = setChoice(f, "type", &dns.Type, dnsTypes()...) && ok
	ok = setInt(f, "port", &dns.Port, 1, 65535) && ok
	ok = setBool(f, "tcp", &dns.TCP) && ok
	ok = setChoice(f, "rcode", &dns.RCode, dnsRCodes()...) && ok
	return dns, ok && readDNSAnswer(dns, f)
}

// readDNSAnswer reads what one record of the answer must say, in the form that
// records of the type have in a zone file.
func readDNSAnswer(dns *DNS, f fields) bool {
	c, given := f.get("answer")
	if !given {
		return true
	}
	if dns.RCode != "NOERROR" {
		f.values["answer"].key.problem("an answer with rcode %s has no records: remove answer", dns.RCode)
		return false
	}
	word, ok := c.word("what a record of the answer must say")
	if !ok {
		return false
	}
	dns.Answer, ok = dnsAnswer(dns.Type, word)
	if !ok {
		c.problem("%q is not what a record of type %s says: expected %s", shorten(word), dns.Type, dnsAnswerForm(dns.Type))
	}
	return ok
}

// dnsAnswer returns the text that a record's is compared with.
func dnsAnswer(kind, word string) (answer string, ok bool) {
	switch kind {
	case "A", "AAAA":
		addr, err := netip.ParseAddr(word)
		return addr.String(), err == nil && addr.Zone() == "" && addr.Is4() == (kind == "A")
	case "TXT":
		return word, word != ""
	case "MX":
		return numbersAndName(word, 1)
	case "SRV":
		return numbersAndName(word, 3)
	case "SOA":
		return "", false
	default:
		return numbersAndName(word, 0)
	}
}

// dnsAnswerForm is what dnsAnswer takes.
func dnsAnswerForm(kind string) string {
	switch kind {
	case "A":
		return "an address such as 192.0.2.1"
	case "AAAA":
		return "an address such as 2001:db8::1"
	case "TXT":
		return "its text"
	case "MX":
		return `"10 mail.example.com"`
	case "SRV":
		return `"0 5 5060 sip.example.com"`
	case "SOA":
		return "no answer, since its numbers change with the zone"
	default:
		return "a name such as www.example.com"
	}
}

// numbersAndName reads so many numbers of 16 bits and then a domain name.
func numbersAndName(text string, numbers int) (string, bool) {
	words := strings.Fields(text)
	if len(words) != numbers+1 || domainFault(words[numbers]) != "" || slices.ContainsFunc(words[:numbers], notUint16) {
		return "", false
	}
	words[numbers] = absolute(words[numbers])
	return strings.Join(words, " "), true
}

func notUint16(word string) bool {
	n, err := strconv.ParseUint(word, 10, 16)
	return err != nil || strconv.FormatUint(n, 10) != word
}

// readDomain reads a domain name.
func readDomain(c cursor) (string, bool) {
	word, ok := c.word("a name to ask for such as www.example.com")
	if !ok {
		return "", false
	}
	if fault := domainFault(word); fault != "" {
		c.problem("%q is not a name to ask for: %s", shorten(word), fault)
		return "", false
	}
	return absolute(word), true
}

// domainFault says why a word is no domain name; "" when it is one. Any byte can
// be in one (RFC 2181, section 11), but nobody has others than these.
func domainFault(word string) string {
	const (
		maxDomain = 253
		maxLabel  = 63
	)
	if word == "." {
		return ""
	}
	word = strings.TrimSuffix(word, ".")
	if len(word) > maxDomain {
		return fmt.Sprintf("it has more than %d characters", maxDomain)
	}
	for label := range strings.SplitSeq(word, ".") {
		switch {
		case label == "":
			return "it has an empty part"
		case len(label) > maxLabel:
			return fmt.Sprintf("a part has more than %d characters", maxLabel)
		case strings.ContainsFunc(label, func(r rune) bool { return !isNameRune(r) && !strings.ContainsRune("*/", r) }):
			return "it has letters, digits, '-', '_', '*' and '/' between dots"
		}
	}
	return ""
}

// absolute is a domain name as DNS compares it: from the root, in small letters.
func absolute(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) + "." }
