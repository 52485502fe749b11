package bgp

import (
	"context"
	"fmt"

	"github.com/osrg/gobgp/v4/api"
)

// Names of the speaker's policies.
const (
	inward  = "in"
	outward = "out"
)

// allow lets in and out nothing but our own paths, and out only those for the
// prefixes offered: a second belt, whatever else goes wrong.
func (s *speaker) allow(ctx context.Context) error {
	in, out := &api.Policy{Name: inward}, &api.Policy{Name: outward}
	in.Statements = []*api.Statement{accept("ours", nil)}
	policies := &api.SetPoliciesRequest{Policies: []*api.Policy{in, out}}
	for _, set := range prefixSets(s.offers) {
		policies.DefinedSets = append(policies.DefinedSets, set)
		out.Statements = append(out.Statements, accept("ours-"+set.Name, set))
	}
	if err := s.server.SetPolicies(ctx, policies); err != nil {
		return fmt.Errorf("set which prefixes may be announced: %w", err)
	}
	if err := s.assign(ctx, api.PolicyDirection_POLICY_DIRECTION_IMPORT, in); err != nil {
		return err
	}
	return s.assign(ctx, api.PolicyDirection_POLICY_DIRECTION_EXPORT, out)
}

// assign makes policy the one for all peers, and what it does not accept
// refused.
func (s *speaker) assign(ctx context.Context, direction api.PolicyDirection, policy *api.Policy) error {
	assignment := &api.PolicyAssignment{
		Name: "global", Direction: direction, Policies: []*api.Policy{policy}, DefaultAction: api.RouteAction_ROUTE_ACTION_REJECT,
	}
	if err := s.server.SetPolicyAssignment(ctx, &api.SetPolicyAssignmentRequest{Assignment: assignment}); err != nil {
		return fmt.Errorf("set policy %s: %w", policy.Name, err)
	}
	return nil
}

// accept accepts paths that were made here; with a set, only for its prefixes.
func accept(name string, set *api.DefinedSet) *api.Statement {
	conditions := &api.Conditions{RouteType: api.Conditions_ROUTE_TYPE_LOCAL}
	if set != nil {
		conditions.PrefixSet = &api.MatchSet{Type: api.MatchSet_TYPE_ANY, Name: set.Name}
	}
	return &api.Statement{Name: name, Conditions: conditions, Actions: &api.Actions{RouteAction: api.RouteAction_ROUTE_ACTION_ACCEPT}}
}

// prefixSets are the prefixes by family, because a set has one.
func prefixSets(offers catalogue) []*api.DefinedSet {
	ipv4 := &api.DefinedSet{DefinedType: api.DefinedType_DEFINED_TYPE_PREFIX, Name: "ipv4"}
	ipv6 := &api.DefinedSet{DefinedType: api.DefinedType_DEFINED_TYPE_PREFIX, Name: "ipv6"}
	for p := range offers {
		set, bits := ipv4, uint32(p.Bits())
		if p.Addr().Is6() {
			set = ipv6
		}
		set.Prefixes = append(set.Prefixes, &api.Prefix{IpPrefix: p.String(), MaskLengthMin: bits, MaskLengthMax: bits})
	}
	var sets []*api.DefinedSet
	for _, set := range []*api.DefinedSet{ipv4, ipv6} {
		if len(set.Prefixes) > 0 {
			sets = append(sets, set)
		}
	}
	return sets
}
