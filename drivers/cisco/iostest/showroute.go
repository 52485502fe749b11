package iostest

// showRoute is "show ip route", "show ipv6 route" or "show route".
func showRoute(v6 bool) func(*session, input) error {
	return func(s *session, in input) error {
		at, err := s.place(in.rest, v6)
		if err != nil {
			return err
		}
		s.date()
		s.say(s.r.detail(at))
		return nil
	}
}

// place reads the VRF and the prefix that are asked for.
func (s *session) place(words []token, v6 bool) (where, error) {
	at := where{}
	if len(words) > 1 && words[0].text == "vrf" && s.r.d.name != "nxos" {
		at.vrf, words = words[1].text, words[2:]
	}
	for s.r.d.candidates && len(words) > 0 && isFamily(words[0].text) {
		v6 = v6 || words[0].text == "ipv6"
		words = words[1:]
	}
	rd := &reader{grammar: s.r.d.grammar, words: words}
	p, err := rd.prefix(v6)
	if err != nil {
		return at, err
	}
	at.prefix = p
	if len(rd.words) == 2 && rd.words[0].text == "vrf" && s.r.d.name == "nxos" {
		at.vrf, rd.words = rd.words[1].text, nil
	}
	if len(rd.words) > 0 {
		return at, &syntaxError{kind: invalid, at: rd.words[0].at}
	}
	if at.vrf != "" && !s.r.hasVRF(at.vrf) {
		return at, refuse("% IP routing table vrf " + at.vrf + " does not exist")
	}
	return at, nil
}

func isFamily(word string) bool { return word == "ipv4" || word == "ipv6" || word == "unicast" }

// detail prints how a prefix is forwarded.
func (r *Router) detail(at where) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	active := r.active(at)
	switch r.d.name {
	case "ios":
		return detailIOS(at, active)
	case "nxos":
		return detailNXOS(at, active)
	case "eos":
		return detailEOS(at, active)
	case "iosxr":
		return detailXR(at, active)
	default:
		panic("iostest: no dialect " + r.d.name)
	}
}
