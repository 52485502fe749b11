package topology

import (
	"encoding/base64"
	"net/netip"
	"strings"
	"time"
)

// A Dialect is a family of Cisco-like command lines.
type Dialect string

const (
	IOS   Dialect = "ios"   // Cisco IOS and IOS-XE
	IOSXR Dialect = "iosxr" // Cisco IOS-XR
	NXOS  Dialect = "nxos"  // Cisco NX-OS
	EOS   Dialect = "eos"   // Arista EOS
	FRR   Dialect = "frr"   // FRRouting's vtysh
)

// Dialects returns all dialects, sorted.
func Dialects() []Dialect { return []Dialect{EOS, FRR, IOS, IOSXR, NXOS} }

// A Strategy is how static routes are arranged on a router.
type Strategy string

const (
	// StrategyReplace keeps lines for the wanted next hops alone: a move adds the
	// new one, then removes the old one.
	StrategyReplace Strategy = "replace"
	// StrategyFloating keeps a line for every server of a VIP in mode single, with
	// increasing distance: a move to the next one removes one line.
	StrategyFloating Strategy = "floating"
)

// FloatingStep is the difference in distance between one server's line and the
// next one's, with StrategyFloating.
const FloatingStep = 10

// maxFloating is the largest Distance with StrategyFloating: the eighth line, the
// last, has 70 more.
const maxFloating = maxDistance - 7*FloatingStep

// Save is when the router is told to keep its configuration across a restart.
// The zero Save is never.
type Save struct {
	AfterChange bool          // as soon as a change has been read back
	After       time.Duration // so long after the last change; 0 unless AfterChange is false
}

// Cisco is a router with a Cisco-like command line, which is reached by SSH.
type Cisco struct {
	Address netip.Addr
	Port    uint16 // default 22
	User    string // default "routesteer"

	// KeyFile is the path of a private key without passphrase, Password what is
	// answered to password and keyboard-interactive authentication. One is given.
	KeyFile  string
	Password Secret
	Enable   Secret // enable secret; none if the user is privileged at once

	// KnownHosts is the path of a file in the format of sshd(8); default
	// /etc/routesteer/known_hosts. HostKey is the fingerprint of the only host key
	// that is accepted, such as "SHA256:…". Exactly one is set.
	KnownHosts string
	HostKey    string

	// LegacyAlgorithms allows what old IOS needs and nobody should use: SHA-1 key
	// exchange and host keys, CBC ciphers; default false.
	LegacyAlgorithms bool

	Dialect     Dialect       // default IOS
	VRF         string        // of the routes; default "", the global table
	Tag         uint32        // of our routes; default 0: none, but 5253 with FRR, where it marks them as ours
	Distance    int           // of our routes, from 1 to 254; default 1
	Adopt       bool          // take over foreign routes for our VIPs; default false
	Strategy    Strategy      // default StrategyReplace
	Save        Save          // default never
	KeepSession bool          // hold one session open, so that a failure does not wait for a login; default false
	Timeout     time.Duration // for one command; default 30s
	Poll        time.Duration // between looks at its routes; default 1m
}

// Bounds of a router's times.
const (
	minCommand = time.Second
	maxCommand = 10 * time.Minute
	minPoll    = time.Second
	maxPoll    = 24 * time.Hour
)

// maxDistance is the largest administrative distance of a route that is used:
// 255 means never.
const maxDistance = 254

// readCisco reads the cisco driver.
func readCisco(c cursor) (*Cisco, bool) {
	f, ok := c.fields(ciscoObject, "a mapping with address, user, key_file, dialect, …")
	if !ok {
		return nil, false
	}
	cisco := defaultCisco()
	ok = readReach(f, cisco)
	ok = readHostKeys(f, cisco) && ok
	ok = readLines(f, cisco) && ok
	ok = readStrategy(f, cisco) && ok
	ok = set(f, "save", &cisco.Save, readSave) && ok
	ok = setBool(f, "adopt", &cisco.Adopt) && ok
	ok = setBool(f, "keep_session", &cisco.KeepSession) && ok
	ok = setDuration(f, "timeout", &cisco.Timeout, minCommand, maxCommand) && ok
	return cisco, setDuration(f, "poll", &cisco.Poll, minPoll, maxPoll) && ok
}

// readReach reads where the router is and who we are to it.
func readReach(f fields, cisco *Cisco) bool {
	ok := true
	if _, given := f.get("address"); !given {
		f.missing([]string{"address"}, "address is missing: that of the router's SSH server")
		ok = false
	}
	ok = set(f, "address", &cisco.Address, cursor.host) && ok
	ok = setInt(f, "port", &cisco.Port, 1, 65535) && ok
	ok = set(f, "user", &cisco.User, userName) && ok
	ok = set(f, "key_file", &cisco.KeyFile, cursor.filePath) && ok
	ok = set(f, "password", &cisco.Password, readSecret) && ok
	ok = set(f, "enable", &cisco.Enable, readSecret) && ok
	if keys := []string{"key_file", "password"}; len(f.given(keys...)) == 0 {
		f.missing(keys, "key_file or password is missing: without one nobody can log in")
		return false
	}
	return ok
}

// readHostKeys reads how the router proves who it is.
func readHostKeys(f fields, cisco *Cisco) bool {
	ok := setBool(f, "legacy_algorithms", &cisco.LegacyAlgorithms)
	ok = set(f, "known_hosts", &cisco.KnownHosts, cursor.filePath) && ok
	ok = set(f, "host_key", &cisco.HostKey, fingerprint) && ok
	if given := f.given("known_hosts", "host_key"); len(given) == 2 {
		f.problem("known_hosts and host_key are two ways to say which host key is right: give one")
		return false
	}
	if cisco.HostKey != "" {
		cisco.KnownHosts = ""
	}
	return ok
}

// readLines reads what is in our lines of the router's configuration.
func readLines(f fields, cisco *Cisco) bool {
	ok := setChoice(f, "dialect", &cisco.Dialect, Dialects()...)
	cisco.Tag = defaultTag(cisco.Dialect)
	ok = setInt(f, "tag", &cisco.Tag, 1, maxUint32) && ok
	ok = set(f, "vrf", &cisco.VRF, cursor.plainWord) && ok
	return setInt(f, "distance", &cisco.Distance, 1, maxDistance) && ok
}

// host reads the address of a device that is reached by SSH.
func (c cursor) host() (netip.Addr, bool) {
	addr, ok := c.address()
	if ok && (addr.IsUnspecified() || addr.IsMulticast()) {
		c.problem("%s is no device's address", addr)
		return addr, false
	}
	return addr, ok
}

// readStrategy reads how routes are arranged.
func readStrategy(f fields, cisco *Cisco) bool {
	ok := setChoice(f, "strategy", &cisco.Strategy, StrategyReplace, StrategyFloating)
	if cisco.Strategy == StrategyFloating && cisco.Distance > maxFloating {
		f.problem("distance %d leaves no room for floating routes, whose distances rise by %d: it is at most %d", cisco.Distance, FloatingStep, maxFloating)
		return false
	}
	return ok
}

// userName reads a login name.
func userName(c cursor) (string, bool) {
	word, ok := c.word("a login name")
	if ok && (word == "" || strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r == 0x7f })) {
		c.problem("%q is no login name", shorten(word))
		return "", false
	}
	return word, ok
}

// fingerprint reads what ssh-keygen -l prints of a host key.
func fingerprint(c cursor) (string, bool) {
	const want = "a fingerprint such as ssh-keygen -l prints: SHA256: and 43 characters"
	word, ok := c.word(want)
	if !ok {
		return "", false
	}
	sum, isSHA256 := strings.CutPrefix(word, "SHA256:")
	if raw, err := base64.RawStdEncoding.DecodeString(sum); !isSHA256 || err != nil || len(raw) != 32 {
		c.problem("expected %s, found %q", want, shorten(word))
		return "", false
	}
	return word, true
}

// readSave reads never, after_change, or a duration.
func readSave(c cursor) (Save, bool) {
	switch c.node.Value {
	case "never":
		return Save{}, true
	case "after_change":
		return Save{AfterChange: true}, true
	}
	if word, ok := c.word("never, after_change, or a duration such as 5m"); !ok || strings.Trim(word, "0123456789.hms") != "" {
		if ok {
			c.problem("expected never, after_change, or a duration such as 5m, found %q", shorten(word))
		}
		return Save{}, false
	}
	after, ok := c.duration(time.Second, 24*time.Hour)
	return Save{After: after}, ok
}
