package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/routesteer/routesteer/topology"
)

// A dnsAnswer is the answer that a check wants. It is pure and never changes.
type dnsAnswer struct {
	question dnsmessage.Question
	kind     string // of question, in words
	rcode    string
	text     string // of one record; "" takes any
}

func newDNSAnswer(spec topology.DNS) dnsAnswer {
	types := map[string]dnsmessage.Type{
		"A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "CNAME": dnsmessage.TypeCNAME, "MX": dnsmessage.TypeMX, "NS": dnsmessage.TypeNS,
		"PTR": dnsmessage.TypePTR, "SOA": dnsmessage.TypeSOA, "SRV": dnsmessage.TypeSRV, "TXT": dnsmessage.TypeTXT,
	}
	kind, known := types[spec.Type]
	if !known {
		panic("probe: no such type of DNS record: " + spec.Type)
	}
	return dnsAnswer{
		// Parse keeps names to 255 bytes.
		question: dnsmessage.Question{Name: dnsmessage.MustNewName(spec.Name), Type: kind, Class: dnsmessage.ClassINET},
		kind:     spec.Type, rcode: spec.RCode, text: spec.Answer,
	}
}

// query writes the question out. It asks for recursion, which name servers that
// offer none ignore.
func (w dnsAnswer) query(id uint16) []byte {
	message := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{w.question},
	}
	out, err := message.Pack()
	if err != nil {
		panic("probe: write a DNS query: " + err.Error()) // Parse lets no such name pass
	}
	return out
}

// judge looks at a message that came in. It is ours if it answers the query of
// that id; then err says what is wrong with the answer.
func (w dnsAnswer) judge(id uint16, message []byte) (ours bool, err error) {
	var parser dnsmessage.Parser
	header, err := parser.Start(message)
	if err != nil || !header.Response || header.ID != id {
		return false, nil
	}
	asked, err := parser.Question()
	switch {
	case errors.Is(err, dnsmessage.ErrSectionDone): // who does not understand a query may not repeat it
	case err != nil, asked.Type != w.question.Type, asked.Class != w.question.Class, !sameName(asked.Name, w.question.Name):
		return false, nil
	}
	if got := rcodeText(header.RCode); got != w.rcode {
		return true, failf("rcode %s, want %s", got, w.rcode)
	}
	if w.rcode != rcodeText(dnsmessage.RCodeSuccess) {
		return true, nil
	}
	return true, w.judgeRecords(&parser, header.Truncated)
}

// judgeRecords looks for a record that is wanted.
func (w dnsAnswer) judgeRecords(parser *dnsmessage.Parser, truncated bool) error {
	if err := parser.SkipAllQuestions(); err != nil {
		return failf("malformed answer: %v", err)
	}
	other := ""
	for {
		text, err := w.next(parser)
		switch {
		case errors.Is(err, dnsmessage.ErrSectionDone):
			return w.missing(other, truncated)
		case err != nil:
			return failf("malformed answer: %v", err)
		case w.text == "" || text == w.text:
			return nil
		}
		other = text
	}
}

// next is the text of the next record of the type.
func (w dnsAnswer) next(parser *dnsmessage.Parser) (string, error) {
	for {
		header, err := parser.AnswerHeader()
		if err != nil {
			return "", err
		}
		if header.Type == w.question.Type {
			record, err := parser.Answer()
			return recordText(record.Body), err
		}
		if err := parser.SkipAnswer(); err != nil {
			return "", err
		}
	}
}

// missing says that no record was as wanted; other is one that was not.
func (w dnsAnswer) missing(other string, truncated bool) error {
	switch {
	case truncated:
		return failf("the answer is truncated, and what is there is not enough: use tcp: true")
	case other == "":
		return failf("no %s record in the answer", w.kind)
	default:
		return failf("the answer is %.80q, want %q", other, w.text)
	}
}

func sameName(a, b dnsmessage.Name) bool { return strings.EqualFold(a.String(), b.String()) }

// recordText is a record as a zone file has it, as far as the file can want it:
// names in small letters.
func recordText(body dnsmessage.ResourceBody) string {
	switch b := body.(type) {
	case *dnsmessage.AResource:
		return netip.AddrFrom4(b.A).String()
	case *dnsmessage.AAAAResource:
		return netip.AddrFrom16(b.AAAA).String()
	case *dnsmessage.CNAMEResource:
		return strings.ToLower(b.CNAME.String())
	case *dnsmessage.NSResource:
		return strings.ToLower(b.NS.String())
	case *dnsmessage.PTRResource:
		return strings.ToLower(b.PTR.String())
	case *dnsmessage.MXResource:
		return fmt.Sprintf("%d %s", b.Pref, strings.ToLower(b.MX.String()))
	case *dnsmessage.SRVResource:
		return fmt.Sprintf("%d %d %d %s", b.Priority, b.Weight, b.Port, strings.ToLower(b.Target.String()))
	case *dnsmessage.TXTResource:
		return strings.Join(b.TXT, "")
	default:
		return ""
	}
}

// rcodeText is a response code in the words of RFC 1035's successors.
func rcodeText(code dnsmessage.RCode) string {
	switch code {
	case dnsmessage.RCodeSuccess:
		return "NOERROR"
	case dnsmessage.RCodeFormatError:
		return "FORMERR"
	case dnsmessage.RCodeServerFailure:
		return "SERVFAIL"
	case dnsmessage.RCodeNameError:
		return "NXDOMAIN"
	case dnsmessage.RCodeNotImplemented:
		return "NOTIMP"
	case dnsmessage.RCodeRefused:
		return "REFUSED"
	default:
		return fmt.Sprint(uint16(code))
	}
}
