package bgp

import (
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/routesteer/routesteer/topology"
)

// deferral is how long a speaker that has restarted waits for a router's
// End-of-RIB before it announces (RFC 4724, section 4.1). It needs nothing of
// the routers, and a failure meanwhile should not wait.
const deferral = 2 * time.Second

// peer is the i-th peer in GoBGP's terms.
func (s *settings) peer(i int) *api.Peer {
	p := s.peers[i]
	hold := uint64(p.HoldTime / time.Second)
	peer := &api.Peer{
		Conf: &api.PeerConf{NeighborAddress: p.Address.String(), PeerAsn: p.ASN, AuthPassword: s.passwords[i]},
		Timers: &api.Timers{Config: &api.TimersConfig{
			HoldTime: hold, KeepaliveInterval: max(hold/3, 1), ConnectRetry: uint64(p.ConnectRetry / time.Second),
		}},
		Transport:       &api.Transport{RemotePort: uint32(p.Port), PassiveMode: p.Passive},
		GracefulRestart: s.gracefulRestart(),
	}
	if p.Source.IsValid() {
		peer.Transport.LocalAddress = p.Source.String()
	}
	if p.Multihop > 0 {
		peer.EbgpMultihop = &api.EbgpMultihop{Enabled: true, MultihopTtl: uint32(p.Multihop)}
	}
	if p.TTLSecurity > 0 {
		peer.TtlSecurity = &api.TtlSecurity{Enabled: true, TtlMin: uint32(256 - p.TTLSecurity)}
	}
	if p.BFD != nil {
		peer.Bfd = &api.BfdPeerConfig{
			Enabled: true, DetectionMultiplier: uint32(p.BFD.Multiplier),
			DesiredMinimumTxInterval: uint32(p.BFD.Interval.Microseconds()), RequiredMinimumReceive: uint32(p.BFD.Interval.Microseconds()),
		}
	}
	for _, family := range families(p) {
		peer.AfiSafis = append(peer.AfiSafis, s.family(family))
	}
	return peer
}

// families are what is announced to a peer.
func families(p topology.Peer) []bgp.Family {
	var all []bgp.Family
	if p.IPv4 {
		all = append(all, bgp.RF_IPv4_UC)
	}
	if p.IPv6 {
		all = append(all, bgp.RF_IPv6_UC)
	}
	return all
}

// family is what is negotiated for a family.
func (s *settings) family(f bgp.Family) *api.AfiSafi {
	name := &api.Family{Afi: api.Family_Afi(f.Afi()), Safi: api.Family_Safi(f.Safi())}
	family := &api.AfiSafi{
		Config:            &api.AfiSafiConfig{Family: name, Enabled: true},
		AddPaths:          &api.AddPaths{Config: &api.AddPathsConfig{SendMax: maxPaths}},
		MpGracefulRestart: &api.MpGracefulRestart{Config: &api.MpGracefulRestartConfig{Enabled: s.restart.Time > 0}},
	}
	if s.restart.LongLived > 0 {
		family.LongLivedGracefulRestart = &api.LongLivedGracefulRestart{Config: &api.LongLivedGracefulRestartConfig{
			Enabled: true, RestartTime: uint32(s.restart.LongLived / time.Second),
		}}
	}
	return family
}

// gracefulRestart makes the speaker one that has just restarted: it sets the
// restart and forwarding state bits, which do no harm where nothing is kept.
func (s *settings) gracefulRestart() *api.GracefulRestart {
	if s.restart.Time == 0 {
		return nil
	}
	return &api.GracefulRestart{
		Enabled: true, RestartTime: uint32(s.restart.Time / time.Second), LocalRestarting: true,
		DeferralTime: uint32(deferral / time.Second), LonglivedEnabled: s.restart.LongLived > 0,
	}
}
