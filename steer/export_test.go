package steer

import "github.com/routesteer/routesteer/topology"

// Load is how many VIPs in single mode the Assignment says that each server has.
func (a Assignment) Load() map[topology.ServerName]int { return a.load }
