package steer

// Load is how many VIPs in single mode the Assignment says that each of the site's servers has.
func (a Assignment) Load() []int { return a.load }
