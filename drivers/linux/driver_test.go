package linux

import (
	"net/netip"
	"testing"

	"github.com/routesteer/routesteer/steer"
)

func TestSmoke(t *testing.T) {
	r := newRouter(t)
	p4, p6 := netip.MustParsePrefix("203.0.113.32/27"), netip.MustParsePrefix("2001:db8:64::/64")
	d := r.open(defaults, p4, p6)
	h := func(a string, w int) steer.NextHop { return steer.NextHop{Address: netip.MustParseAddr(a), Weight: w} }
	for _, cs := range [][]steer.Change{
		{{Op: steer.Add, Prefix: p4, To: []steer.NextHop{h("192.0.2.11", 1)}}, {Op: steer.Add, Prefix: p6, To: []steer.NextHop{h("2001:db8:1::11", 1)}}},
		{{Op: steer.Replace, Prefix: p4, To: []steer.NextHop{h("192.0.2.11", 1), h("192.0.2.12", 3)}}, {Op: steer.Replace, Prefix: p6, To: []steer.NextHop{h("2001:db8:1::11", 1), h("2001:db8:1::12", 2)}}},
		{{Op: steer.Replace, Prefix: p4, To: []steer.NextHop{h("192.0.3.11", 1)}}, {Op: steer.Replace, Prefix: p6, To: []steer.NextHop{h("2001:db8:9::11", 1)}}},
		{{Op: steer.Replace, Prefix: p4, To: []steer.NextHop{h("192.0.2.1", 1)}}, {Op: steer.Replace, Prefix: p6, To: []steer.NextHop{h("2001:db8:1::12", 1)}}},
		{{Op: steer.Remove, Prefix: p4}, {Op: steer.Remove, Prefix: p6}},
	} {
		n, err := d.Apply(t.Context(), cs)
		got, err2 := d.Routes(t.Context())
		t.Log(n, err)
		t.Logf("%+v %v", got, err2)
	}
}
