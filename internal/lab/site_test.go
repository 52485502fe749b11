package lab

import (
	"testing"

	"github.com/routesteer/routesteer/topology"
)

func TestTheControllerReadsTheSiteThatTheLabWrites(t *testing.T) {
	for _, c := range []struct {
		servers, vips int
		profile       Profile
		failback      string
	}{
		{4, 4, Default, "{after: 1s}"},
		{4, 7, Fast, "immediate"},
		{1, 1, Default, "manual"},
		{20, 1000, Fast, "never"},
	} {
		site, err := PlanSite(c.servers, c.vips, Switched)
		if err != nil {
			t.Fatal(err)
		}
		text, err := site.config(c.profile, c.failback)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := topology.Parse("site.yaml", []byte(text))
		if err != nil {
			t.Errorf("%d servers, %d VIPs: %v", c.servers, c.vips, err)
			continue
		}
		if len(parsed.VIPs) != c.vips || len(parsed.Servers) != c.servers {
			t.Errorf("parsed %d servers and %d VIPs, want %d and %d", len(parsed.Servers), len(parsed.VIPs), c.servers, c.vips)
		}
	}
}

func TestTheArticlesSite(t *testing.T) {
	site, err := PlanSite(4, 4, Switched)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"203.0.113.32/27 203.0.113.33 web1", "203.0.113.64/27 203.0.113.65 web2",
		"203.0.113.96/27 203.0.113.97 web3", "203.0.113.128/27 203.0.113.129 web4"} {
		v := site.VIPs[i]
		if got := v.Prefix.String() + " " + v.Address.String() + " " + v.Primary; got != want {
			t.Errorf("VIP %d is %s, want %s", i, got, want)
		}
	}
}
