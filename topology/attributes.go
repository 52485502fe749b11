package topology

// Attributes are what a route that is announced by BGP carries besides its next
// hop.
type Attributes struct {
	Communities []Community // sorted; default none
	MED         *uint32     // MULTI_EXIT_DISC; nil, the default, sends none
	LocalPref   uint32      // LOCAL_PREF, which only peers of our own AS get; default 100
	Prepend     int         // how often our AS is added to the path besides, 0 to 16; default 0
	Origin      Origin      // default OriginIGP
}

// OwnAttributes are what a VIP's entry gives of Attributes. What it does not
// give is the router's.
type OwnAttributes struct {
	Communities []Community // nil: the router's; empty, but not nil: none. They replace the router's
	MED         *uint32     // nil: the router's
	LocalPref   *uint32     // nil: the router's
	Prepend     *int        // nil: the router's
	Origin      Origin      // "": the router's
}

// Origin is the ORIGIN attribute: RFC 4271, section 5.1.1.
type Origin string

const (
	OriginIGP        Origin = "igp"
	OriginEGP        Origin = "egp"
	OriginIncomplete Origin = "incomplete"
)

// For returns the attributes of a VIP's routes, of which own, if it is not nil,
// overrides some.
func (a Attributes) For(own *OwnAttributes) Attributes {
	if own == nil {
		return a
	}
	if own.Communities != nil {
		a.Communities = own.Communities
	}
	if own.MED != nil {
		a.MED = own.MED
	}
	if own.LocalPref != nil {
		a.LocalPref = *own.LocalPref
	}
	if own.Prepend != nil {
		a.Prepend = *own.Prepend
	}
	if own.Origin != "" {
		a.Origin = own.Origin
	}
	return a
}

// readAttributes reads what all routes carry besides their next hop.
func readAttributes(f fields, a *Attributes) bool {
	ok := set(f, "communities", &a.Communities, readCommunities)
	ok = set(f, "med", &a.MED, readMED) && ok
	ok = setInt(f, "local_pref", &a.LocalPref, 0, maxUint32) && ok
	ok = setInt(f, "prepend", &a.Prepend, 0, maxPrepend) && ok
	return setOrigin(f, &a.Origin) && ok
}

// readOwnAttributes reads what a VIP's routes carry in place of that.
func readOwnAttributes(c cursor) (*OwnAttributes, bool) {
	f, ok := c.fields(ownObject, "a mapping with communities, med, local_pref, …")
	if !ok {
		return nil, false
	}
	own := &OwnAttributes{}
	ok = set(f, "communities", &own.Communities, readOwnCommunities)
	ok = set(f, "med", &own.MED, readMED) && ok
	ok = set(f, "local_pref", &own.LocalPref, readMED) && ok
	ok = set(f, "prepend", &own.Prepend, readPrepend) && ok
	return own, setOrigin(f, &own.Origin) && ok
}

func setOrigin(f fields, into *Origin) bool {
	return setChoice(f, "origin", into, OriginIGP, OriginEGP, OriginIncomplete)
}

// readMED reads a MULTI_EXIT_DISC, or a LOCAL_PREF, which is of the same size.
func readMED(c cursor) (*uint32, bool) {
	n, ok := c.integer(0, maxUint32)
	value := uint32(n)
	return &value, ok
}

func readPrepend(c cursor) (*int, bool) {
	n, ok := c.integer(0, maxPrepend)
	times := int(n)
	return &times, ok
}

// readOwnCommunities also reads an empty list, which is none.
func readOwnCommunities(c cursor) ([]Community, bool) {
	if c.isList() && len(c.node.Content) == 0 {
		return []Community{}, true
	}
	return readCommunities(c)
}
