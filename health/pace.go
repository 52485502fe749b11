package health

// A Pace is how often a Target is checked.
type Pace uint8

const (
	Fast    Pace = iota // the check's FastInterval: more results are wanted soon
	Regular             // its Interval
	Slow                // its StandbyInterval
)

// Pace is how often a target in this state is to be checked; carries says that
// its server carries traffic that the verdict is about. What is down is checked as
// often as if it did: whoever waits for its return should not wait longer.
func (s State) Pace(carries bool) Pace {
	switch {
	case s.InDoubt():
		return Fast
	case carries, s.Verdict == Down:
		return Regular
	default:
		return Slow
	}
}
