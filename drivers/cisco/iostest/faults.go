package iostest

import (
	"net/netip"
	"regexp"
	"time"
)

// Faults are what makes a router hard to drive. Each works with every other.
type Faults struct {
	// Reaching it.
	Refuse       int           // so many connections are closed at once, for no VTY is free; -1: all
	SessionLimit int           // more sessions at a time than this are turned away; 0: no limit
	Legacy       bool          // only algorithms of old IOS: SHA-1, CBC, ssh-rsa; read by New
	KeyboardOnly bool          // keyboard-interactive instead of password authentication
	StrictSSH    bool          // an unknown channel request ends the connection
	ExecTimeout  time.Duration // an idle session is closed after this long; 0: never
	DenyEnable   string        // what enable answers to any secret, such as "% Access denied"

	// What it writes.
	Noise       bool          // NULs and escape sequences between the characters
	Chunk       int           // bytes a packet; 0: as they come
	Trickle     time.Duration // between two bytes (or chunks)
	PromptDelay time.Duration // before each prompt
	LogAtPrompt bool          // a log line before each prompt
	LogInAnswer bool          // a log line and the prompt once more in the middle of answers
	LogConfig   bool          // %SYS-5-CONFIG_I behind the prompt that follows end
	NoReprint   bool          // the prompt is not written again after a log line (no logging synchronous)
	LogAlways   bool          // terminal no monitor does not help
	Translating bool          // IOS: an unknown word in exec mode is looked up in DNS for 20 s

	// What it refuses.
	Locked      int            // so many attempts of configure are refused; -1: all
	DenyNth     int            // the Nth line of a session is not authorized; 0: none
	Deny        *regexp.Regexp // lines that are not authorized; nil: none
	Overwrite   bool           // saving asks whether to overwrite the NVRAM
	SaveError   string         // what saving answers instead of success
	SaveDelay   time.Duration  // how long saving takes
	CommitError string         // XR: why each commit fails

	// How it fails.
	Cut  Cut
	Hang int // a session says nothing more after its Nth line is executed; 0: never

	// What routes do.
	InstallDelay time.Duration // from configuration to forwarding, of routes configured from now on
	Unreachable  []netip.Addr  // next hops that are never installed
}

// A Cut ends a connection at a line.
type Cut struct {
	Line  int // of the session, from 1; 0: none
	When  CutWhen
	Again bool // in every session; else once
}

// CutWhen is what has become of the line of a Cut.
type CutWhen int

const (
	BeforeRunning CutWhen = iota // it is not executed
	AfterRunning                 // it is executed, without answer
	AmidAnswer                   // it is executed, and half the answer written
)

// NastyMOTD has what prompts are recognised by at its line ends, and a prompt.
const NastyMOTD = `
#################################
# Authorised access only        #
> Contact: noc@example.net      >
R1#
R1(config)#
Password:
Rack 7 -> unit 12 #
`

// Change changes faults of a running router: for its sessions at once.
func (r *Router) Change(change func(*Faults)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.faults)
	r.settle()
}

// now returns the faults as they are.
func (r *Router) now() Faults {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.faults
}

// takeRefusal tells whether a connection is to be closed at once.
func (r *Router) takeRefusal() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.faults.Refuse == 0 {
		return false
	}
	r.faults.Refuse--
	return true
}

// takeLock tells whether somebody holds the configuration.
func (r *Router) takeLock() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.faults.Locked > 0 {
		r.faults.Locked--
		return true
	}
	return r.faults.Locked < 0
}
