package iostest

import "slices"

// configCommands are those of configuration mode in every dialect.
func configCommands(more ...command) []command {
	return append([]command{
		{"end", end}, {"exit", up},
		{"interface …", nil}, {"hostname …", nil}, {"logging …", nil}, {"line …", nil},
	}, more...)
}

// routeCommands are "ip route" and its relatives.
func routeCommands() []command {
	return []command{
		{"ip route …", func(s *session, in input) error { return s.routeLine(in, false, false) }},
		{"ipv6 route …", func(s *session, in input) error { return s.routeLine(in, true, false) }},
		{"no ip route …", func(s *session, in input) error { return s.routeLine(in, false, true) }},
		{"no ipv6 route …", func(s *session, in input) error { return s.routeLine(in, true, true) }},
		{"ip routing", nil}, {"ip name-server …", nil}, {"no ip routing", nil}, {"no interface …", nil},
	}
}

// end leaves configuration mode.
func end(s *session, in input) error {
	if err := in.nothing(); err != nil {
		return err
	}
	if s.r.d.candidates && !s.settleCandidate() {
		return nil
	}
	s.stack, s.configured = nil, true
	return nil
}

// up leaves one mode of configuration.
func up(s *session, in input) error {
	if err := in.nothing(); err != nil {
		return err
	}
	if len(s.stack) == 1 {
		return end(s, in)
	}
	s.stack = s.stack[:len(s.stack)-1]
	return nil
}

// routeLine configures or removes a route.
func (s *session) routeLine(in input, v6, no bool) error {
	vrf := s.stack[len(s.stack)-1].vrf
	words := in.rest
	if s.r.d.inlineVRF && len(words) > 0 && words[0].text == "vrf" {
		if len(words) == 1 {
			return &syntaxError{kind: incomplete}
		}
		vrf, words = words[1].text, words[2:]
		if !s.r.hasVRF(vrf) {
			return refuse("% VRF " + vrf + " does not exist")
		}
	}
	return s.change(words, vrf, v6, no)
}

// change parses a route and makes it true, at once or in the candidate.
func (s *session) change(words []token, vrf string, v6, no bool) error {
	g := s.r.d.grammar
	g.bare = g.bare && !s.r.opts.NoNeeds
	one, err := g.parseRoute(words, v6, no)
	if err != nil {
		return err
	}
	one.vrf = vrf
	if s.r.d.candidates {
		s.candidate = append(s.candidate, op{no, one})
		return nil
	}
	return s.r.apply(op{no, one})
}

// apply makes a change at once.
func (r *Router) apply(o op) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.settle()
	if o.no && !r.remove(o.route) {
		if r.d.absent == "" {
			return nil
		}
		return refuse(r.d.absent)
	}
	if o.no {
		return nil
	}
	if r.isOwn(o.route.hop) {
		return refuse(r.d.own)
	}
	r.add(o.route)
	return nil
}

func (r *Router) hasVRF(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.vrfs, name)
}
