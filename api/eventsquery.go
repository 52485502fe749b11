package api

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Query is the request as the query of a URL:
// ?since=N&after=TIME&server=NAME&vip=WORD&router=NAME&kind=WORD&severity=WORD&last=N&follow=true.
// What is not asked for is left out; server, vip, router and kind may be repeated.
func (r EventsRequest) Query() url.Values {
	query := url.Values{}
	set := func(key, value string, given bool) {
		if given {
			query.Set(key, value)
		}
	}
	set("since", strconv.FormatUint(r.Since, 10), r.Since > 0)
	set("after", r.After.Format(time.RFC3339Nano), !r.After.IsZero())
	set("severity", r.Severity, r.Severity != "")
	set("last", strconv.Itoa(r.Last), r.Last > 0)
	set("follow", "true", r.Follow)
	for key, words := range map[string][]string{"server": r.Servers, "vip": r.VIPs, "router": r.Routers, "kind": r.Kinds} {
		if len(words) > 0 {
			query[key] = words
		}
	}
	return query
}

// ParseEventsQuery reads what Query writes. Its errors say which parameter is wrong,
// and what was expected.
func ParseEventsQuery(query url.Values) (EventsRequest, error) {
	var r EventsRequest
	for key, values := range query {
		if err := r.set(key, values); err != nil {
			return EventsRequest{}, fmt.Errorf("parameter %q: %w", key, err)
		}
	}
	return r, nil
}

func (r *EventsRequest) set(key string, values []string) (err error) {
	switch key {
	case "server":
		r.Servers = values
		return nil
	case "vip":
		r.VIPs = values
		return nil
	case "router":
		r.Routers = values
		return nil
	case "kind":
		r.Kinds = values
		return eachOf(values, EventKinds())
	}
	value := ""
	if len(values) > 0 {
		value = values[len(values)-1]
	}
	switch key {
	case "since":
		r.Since, err = strconv.ParseUint(value, 10, 64)
	case "after":
		r.After, err = time.Parse(time.RFC3339Nano, value)
	case "severity":
		r.Severity = value
		err = eachOf([]string{value}, Severities())
	case "last":
		var last uint64
		last, err = strconv.ParseUint(value, 10, 31)
		r.Last = int(last)
	case "follow":
		r.Follow, err = strconv.ParseBool(value)
	default:
		err = fmt.Errorf("unknown parameter")
	}
	return err
}

// eachOf finds fault with a word that is none of those expected.
func eachOf(words, of []string) error {
	for _, word := range words {
		if !slices.Contains(of, word) {
			return fmt.Errorf("%q is none of %s", word, strings.Join(of, ", "))
		}
	}
	return nil
}
