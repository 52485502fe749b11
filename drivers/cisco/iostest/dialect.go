package iostest

// A caretRule says which errors have a line with a caret.
type caretRule int

const (
	never caretRule = iota
	whereInvalid
	always
)

// A dialect is how a family of routers speaks.
type dialect struct {
	name    string
	grammar grammar
	order   []string // of options in the configuration

	user, exec []command
	anywhere   []command            // in configuration mode, whatever the level, which stays
	config     map[string][]command // by kind of level
	commit     []string             // what makes changes true

	promptPrefix string
	promptSpace  bool
	promptLimit  int
	minWidth     int
	maxWidth     int

	do         bool // exec commands in configuration mode behind "do"
	inlineVRF  bool // "ip route vrf …"
	candidates bool // changes wait for commit
	dated      bool // show begins with a date
	quotes     bool // filters are quoted, and follow each other
	lookup     bool // an unknown word is a host
	asksName   bool // copy asks for the name of the file

	caret                            caretRule
	invalid, incomplete, ambiguous   string
	unauthorized, absent, own        string
	welcome, saving, saved, preamble string

	// print returns the route lines of the running configuration.
	print func(r *Router) []string
}

// dialectOf panics if there is no such dialect.
func dialectOf(name string) *dialect {
	switch name {
	case "ios":
		return newIOS()
	case "nxos":
		return newNXOS()
	case "eos":
		return newEOS()
	case "iosxr":
		return newXR()
	default:
		panic("iostest: no dialect " + name)
	}
}
