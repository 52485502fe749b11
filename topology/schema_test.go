package topology

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

const examplePath = "../routesteer.example.yaml"

func objects() []object {
	return []object{
		siteObject, serverObject, checkObject, httpObject, httpsObject, tcpObject, tlsObject, dnsObject, grpcObject, grpcTLSObject, agentObject, icmpObject, aliveObject,
		vipObject, failbackObject, routerObject, linuxObject, ciscoObject, bgpObject, peerObject, restartObject, bfdObject, ownObject, secretObject, policyObject, pathsObject,
		windowObject, limitObject, webObject, webTLSObject, tokenObject,
		notifyObject, notifyOnObject, notifyExecObject, webhookObject, emailObject,
	}
}

// TestShippedExample parses the example and holds it against the schema.
func TestShippedExample(t *testing.T) {
	data := readFile(t, examplePath)
	site, err := Parse("routesteer.example.yaml", data)
	if err != nil {
		t.Fatal(err.(Problems).Detail())
	}
	if got := len(site.VIPs); got != 8 {
		t.Errorf("the example has %d VIPs, want 8", got)
	}
	if err := schema(t).Validate(asJSON(t, data)); err != nil {
		t.Errorf("the example does not fit the schema: %v", err)
	}
}

// TestShippedExampleShowsEveryKey holds the promise of its first comment.
func TestShippedExampleShowsEveryKey(t *testing.T) {
	text := string(readFile(t, examplePath))
	for _, o := range objects() {
		for _, key := range o.keys() {
			if !strings.Contains(text, key) {
				t.Errorf("the example does not mention key %s of %s", key, o)
			}
		}
	}
}

// TestSchemaAndParserKnowTheSameKeys compares the grammar with schema.json,
// both ways.
func TestSchemaAndParserKnowTheSameKeys(t *testing.T) {
	defs := definitions(t)
	for _, o := range objects() {
		def, ok := defs[string(o)]
		if !ok {
			t.Errorf("schema.json does not define %s", o)
			continue
		}
		got := slices.Sorted(maps.Keys(def.Properties))
		want := slices.Sorted(slices.Values(o.keys()))
		if !slices.Equal(got, want) {
			t.Errorf("keys of %s: schema.json has %v, the parser %v", o, got, want)
		}
		if def.Additional == nil || string(def.Additional) != "false" {
			t.Errorf("%s: schema.json allows unknown keys", o)
		}
	}
	for name, def := range defs {
		if def.Properties != nil && !slices.Contains(objects(), object(name)) {
			t.Errorf("schema.json defines %s, which the parser does not know", name)
		}
	}
}

// TestSchemaExplainsEveryKey wants a description, and a default wherever a key
// has one that is a value.
func TestSchemaExplainsEveryKey(t *testing.T) {
	without := []string{
		"site.servers", "site.vips", "site.routers", "server.address", "server.addresses",
		"check.http", "check.https", "check.tcp", "check.tls", "check.dns", "check.icmp", "dns.name", "dns.answer", "check.grpc", "grpc.port", "check.agent", "agent.port", "check.script", "check.all", "check.any", "check.quorum", "check.of", "grpc_tls.server_name", "grpc_tls.ca_file", "http.host", "https.host", "https.server_name", "https.ca_file", "tcp.port", "tls.server_name", "tls.ca_file",
		"vip.name", "vip.prefix", "vip.prefixes", "vip.addresses", "vip.primary", "vip.backup", "vip.backup2", "vip.backup3",
		"vip.failback", "vip.on_all_down", "vip.bgp",
		"own_attributes.communities", "own_attributes.med", "own_attributes.local_pref", "own_attributes.prepend", "own_attributes.origin",
		"router.linux", "policy.max_unavailable",
		"router.cisco", "cisco.address", "cisco.key_file", "cisco.password", "cisco.enable", "cisco.host_key", "cisco.vrf", "cisco.tag",
		"router.bgp", "bgp.asn", "bgp.router_id", "bgp.peers", "bgp.communities", "bgp.med", "bgp.graceful_restart", "bgp.graceful_shutdown",
		"peer.address", "peer.asn", "peer.password", "peer.multihop", "peer.ttl_security", "peer.source", "peer.families", "graceful_restart.long_lived",
		"vip.disabled", "vip.weights", "failback.between", "failback.time_zone", "policy.witness", "router.change_limit", "change_limit.changes", "change_limit.per",
		"maintenance.servers", "maintenance.at", "maintenance.for", "maintenance.time_zone",
		"secret.file", "secret.env", "secret.credential",
		"site.http", "web.listen", "web.tls", "web_tls.cert_file", "web_tls.key_file", "web_tls.client_ca_file",
		"token.file", "token.env", "token.credential", "token.servers",
		"notifier.name", "notifier.exec", "notifier.webhook", "notifier.email",
		"notify_on.kinds", "notify_on.servers", "notify_on.vips", "notify_exec.command",
		"webhook.url", "webhook.secret", "webhook.ca_file",
		"email.smtp", "email.from", "email.to", "email.user", "email.password", "email.ca_file",
	}
	for name, def := range definitions(t) {
		for key, property := range def.Properties {
			if property.Description == "" {
				t.Errorf("%s.%s has no description", name, key)
			}
			if want := !slices.Contains(without, name+"."+key); (property.Default != nil) != want {
				t.Errorf("%s.%s: has default %s, want one: %v", name, key, property.Default, want)
			}
		}
	}
}

// TestSchemaDefaultsAreTheParsersDefaults writes every default of the schema
// into a file, which must then mean the same as one without them.
func TestSchemaDefaultsAreTheParsersDefaults(t *testing.T) {
	defs := definitions(t)
	fill := func(o object, into map[string]any) map[string]any {
		for key, property := range defs[string(o)].Properties {
			if _, set := into[key]; !set && property.Default != nil {
				into[key] = property.Default
			}
		}
		return into
	}
	file := func(fill func(object, map[string]any) map[string]any) []byte {
		text, err := json.Marshal(fill(siteObject, map[string]any{
			"servers": map[string]any{"web1": fill(serverObject, map[string]any{"address": "192.0.2.11"})},
			"checks": map[string]any{
				"default": fill(checkObject, map[string]any{"http": fill(httpObject, map[string]any{})}),
				"secure":  fill(checkObject, map[string]any{"https": fill(httpsObject, map[string]any{})}),
				"agent":   fill(checkObject, map[string]any{"agent": fill(agentObject, map[string]any{"port": 8081})}),
				"grpc":    fill(checkObject, map[string]any{"grpc": fill(grpcObject, map[string]any{"port": 50051})}),
				"grpcs":   fill(checkObject, map[string]any{"grpc": map[string]any{"port": 50051, "tls": fill(grpcTLSObject, map[string]any{"ca_file": "/ca.pem"})}}),
				"dns":     fill(checkObject, map[string]any{"dns": fill(dnsObject, map[string]any{"name": "."})}),
				"tls":     fill(checkObject, map[string]any{"tls": fill(tlsObject, map[string]any{})}),
			},
			"alive": fill(aliveObject, map[string]any{}),
			"vips":  []any{fill(vipObject, map[string]any{"prefix": "203.0.113.32/27", "failback": fill(failbackObject, map[string]any{})})},
			"routers": map[string]any{
				"edge": map[string]any{"linux": fill(linuxObject, map[string]any{})},
				"border": map[string]any{"bgp": fill(bgpObject, map[string]any{
					"asn": 65000, "router_id": "192.0.2.2", "graceful_restart": fill(restartObject, map[string]any{}),
					"peers": []any{
						fill(peerObject, map[string]any{"address": "192.0.2.3", "asn": 65001, "passive": true}),
						map[string]any{"address": "192.0.2.4", "asn": 65001, "bfd": fill(bfdObject, map[string]any{}), "passive": true},
					},
				})},
				"core": map[string]any{"cisco": fill(ciscoObject, map[string]any{"address": "192.0.2.1", "key_file": "/key"})},
			},
			"policy": fill(policyObject, map[string]any{}),
			"http":   fill(webObject, map[string]any{"listen": "127.0.0.1:8080"}),
			"paths":  fill(pathsObject, map[string]any{}),
			"notify": []any{
				fill(notifyObject, map[string]any{"name": "a", "exec": fill(notifyExecObject, map[string]any{"command": "/bin/true"})}),
				fill(notifyObject, map[string]any{"name": "b", "webhook": fill(webhookObject, map[string]any{"url": "http://127.0.0.1"})}),
				fill(notifyObject, map[string]any{"name": "c", "email": fill(emailObject, map[string]any{"smtp": "mail", "from": "a@b", "to": "a@b"})}),
			},
		}))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	short := mustParse(t, file(func(_ object, m map[string]any) map[string]any { return m }))
	long := mustParse(t, file(fill))
	long.Hash = short.Hash // of the text
	for _, check := range long.Checks {
		if check.HTTP == nil || check.HTTP.Headers == nil {
			continue
		}
		if len(check.HTTP.Headers) > 0 {
			t.Errorf("headers of %s: %v", check.Name, check.HTTP.Headers)
		}
		check.HTTP.Headers = nil
	}
	if got, want := asText(t, long), asText(t, short); got != want {
		t.Errorf("with the schema's defaults written out:\n%s\nwithout:\n%s", got, want)
	}
	if got, want := string(definitions(t)["site"].Properties["paths"].Default), asText(t, map[string]any{
		"mark": short.Paths.Mark, "table": short.Paths.Table, "priority": short.Paths.Priority,
	}); !sameJSON(t, got, want) {
		t.Errorf("site.paths: default %s, want %s", got, want)
	}
}

// TestSchemaRefuses is a sample of what an editor underlines.
func TestSchemaRefuses(t *testing.T) {
	compiled := schema(t)
	for _, change := range [][2]string{
		{"web1: 192.0.2.11", "web1: {adress: 192.0.2.11}"},
		{"interval: 1s ", "interval: 5 "},
		{"rise: 2", "rise: 0"},
		{"mode: ecmp", "mode: all"},
		{"backup: web1", "backup: []"},
		{"protocol: 82", "protocol: 186"},
		{"max_unavailable: 50%", "max_unavailable: 101%"},
		{"linux:", "juniper:"},
		{"user: routesteer", "user: ''"},
		{"password: {file: /etc/routesteer/password}", "password: letmein"},
		{"dialect: ios", "dialect: junos"},
		{"save: never", "save: always"},
		{"asn: 65000  ", "asn: 23456"},
		{"router_id: 192.0.2.2  ", "router: 192.0.2.2  "},
		{"no-export]", "no-import]"},
		{"at_exit: keep", "at_exit: maybe"},
		{"ttl_security: 1 ", "ttl_security: 255 "},
		{"families: [ipv4, ipv6]", "families: [ipx]"},
		{"tcp: 25", "tcp:"},
		{"between: 02:00-04:00", "between: 2am-4am"},
		{"correlated: freeze", "correlated: panic"},
		{"witness: [192.0.2.1", "witness: [router1"},
		{"drain_reminder: 24h", "drain_reminder: 24"},
		{"at: \"Sun 03:00\"", "at: sometimes"},
		{"change_limit: {changes: 1000, per: 1m}", "change_limit: 1000"},
		{"weights: {web3: 2, web4: 0}", "weights: [2, 0]"},
		{"med: 20", "med: -1"},
		{"listen: 127.0.0.1:8080", "listen: 8080"},
		{"severity: warning", "severity: loud"},
		{"template: slack", "template: teams"},
		{"tls: starttls", "tls: maybe"},
		{"read: anyone", "read: nobody"},
		{"web1: {file: /etc/routesteer/web1.token", "web1: {path: /etc/routesteer/web1.token"},
	} {
		text := string(readFile(t, examplePath))
		if !strings.Contains(text, change[0]) {
			t.Fatalf("the example lacks %q", change[0])
		}
		bad := []byte(strings.Replace(text, change[0], change[1], 1))
		if compiled.Validate(asJSON(t, bad)) == nil {
			t.Errorf("the schema accepts %q", change[1])
		}
		if _, err := Parse("site.yaml", bad); err == nil {
			t.Errorf("Parse accepts %q", change[1])
		}
	}
}

type definition struct {
	Properties map[string]struct {
		Description string          `json:"description"`
		Default     json.RawMessage `json:"default"`
	} `json:"properties"`
	Additional json.RawMessage `json:"additionalProperties"`
}

func definitions(t *testing.T) map[string]definition {
	t.Helper()
	var file struct {
		Defs map[string]definition `json:"$defs"`
	}
	if err := json.Unmarshal(Schema(), &file); err != nil {
		t.Fatal(err)
	}
	return file.Defs
}

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// asJSON turns YAML into what the schema's validator takes.
func asJSON(t *testing.T, data []byte) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(asText(t, value)))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func asText(t *testing.T, value any) string {
	t.Helper()
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		t.Fatalf("not JSON: %s, %s", a, b)
	}
	return asText(t, x) == asText(t, y)
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func mustParse(t testing.TB, data []byte) *Site {
	t.Helper()
	site, err := Parse("site.yaml", data)
	if err != nil {
		t.Fatalf("%v\nin:\n%s", err, data)
	}
	return site
}
