package config_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// TestTLSAndListeners decodes every key of the lists, with the defaults of those that are left out.
func TestTLSAndListeners(t *testing.T) {
	t.Parallel()
	toml := write(t, "x.toml", `
[tls]
certificate = "/a.pem"
key = "/a.key"
client_ca = "/ca.pem"
identity = ["cn"]
[[tls.clients]]
match = "spiffe://bench.example/station/*"
sessions = ["station-7-*", "spare"]
connections = 4
sessions_open = 2
[[tls.clients]]
match = "*"
[[listeners]]
address = "0.0.0.0:8443"
tls = "either"
[[listeners]]
address = "[::1%lo]:0"
[[listeners]]
address = "unix:/run/x.sock"
[[listeners]]
address = "unix:/run/y.sock"
tls = "on"
mode = "0666"
owner = "bench"
group = "1000"
`)
	yaml := write(t, "x.yaml", `
tls:
  certificate: /a.pem
  key: /a.key
  client_ca: /ca.pem
  identity: [cn]
  clients:
  - {match: spiffe://bench.example/station/*, sessions: [station-7-*, spare], connections: 4, sessions_open: 2}
  - match: "*"
listeners:
- {address: "0.0.0.0:8443", tls: either}
- address: "[::1%lo]:0"
- address: unix:/run/x.sock
- {address: "unix:/run/y.sock", tls: on, mode: "0666", owner: bench, group: "1000"}
`)
	want := config.Default()
	want.TLS.Certificate, want.TLS.Key, want.TLS.ClientCA, want.TLS.Identity = "/a.pem", "/a.key", "/ca.pem", []string{"cn"}
	want.TLS.Clients = []config.TLSClient{
		{Match: "spiffe://bench.example/station/*", Sessions: []string{"station-7-*", "spare"}, Connections: 4, SessionsOpen: 2},
		{Match: "*", Sessions: []string{"*"}},
	}
	want.Listeners = []config.Listener{
		{Address: "0.0.0.0:8443", TLS: "either"}, {Address: "[::1%lo]:0", TLS: "auto"},
		{Address: "unix:/run/x.sock", TLS: "auto", Mode: "0660"},
		{Address: "unix:/run/y.sock", TLS: "on", Mode: "0666", Owner: "bench", Group: "1000"},
	}
	for _, file := range []string{toml, yaml} {
		got := load(t, config.Sources{File: file})
		if diff := cmp.Diff(want, got.Config); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
		shown := got.Shown()
		wantShown := map[string]any{
			"clients": []map[string]any{{"match": "spiffe://bench.example/station/*", "sessions": []string{"station-7-*", "spare"},
				"connections": 4, "sessions_open": 2}, {"match": "*", "sessions": []string{"*"}}},
			"listeners": []map[string]any{{"address": "0.0.0.0:8443", "tls": "either"}, {"address": "[::1%lo]:0", "tls": "auto"},
				{"address": "unix:/run/x.sock", "tls": "auto", "mode": "0660"},
				{"address": "unix:/run/y.sock", "tls": "on", "mode": "0666", "owner": "bench", "group": "1000"}},
		}
		tls, _ := shown["tls"].(map[string]any)
		if diff := cmp.Diff(wantShown, map[string]any{"clients": tls["clients"], "listeners": shown["listeners"]}); diff != "" ||
			tls["certificate"] != "/a.pem" || tls["connections"] != 2048 {
			t.Errorf("%s: %v is shown (-want +got):\n%s", file, shown, diff)
		}
	}
}

// TestListen has the addresses of listeners.
func TestListen(t *testing.T) {
	t.Parallel()
	const example = `; write one such as "0.0.0.0:8443" or "unix:/run/stepagent/steps.sock"`
	for address, want := range map[string]string{
		"0.0.0.0:8443": "", "[::]:1": "", "board-3.lan:65535": "", "localhost:0": "", "[fe80::1%eth0]:8443": "", "unix:/x": "",
		"":                "is empty" + example,
		"0.0.0.0":         `"0.0.0.0" is no address with a port` + example,
		"8443":            `"8443" is no address with a port` + example,
		"::1:8443":        `"::1:8443" is no address with a port` + example,
		":8443":           `":8443" has no host; write "0.0.0.0:8443" for every IPv4 address, "[::]:8443" for every address`,
		"0.0.0.0:":        `"" is no port; write a number from 0 to 65535`,
		"0.0.0.0:https":   `"https" is no port; write a number from 0 to 65535`,
		"0.0.0.0:65536":   `"65536" is no port; write a number from 0 to 65535`,
		"0.0.0.0:08443":   `"08443" is no port; write a number from 0 to 65535`,
		"a b:1":           `"a b" is no address and no host name; write one such as "192.0.2.7" or "board-3.lan"`,
		"/run/x.sock":     `"/run/x.sock" is a path; write "unix:/run/x.sock" for a unix socket`,
		"unix:":           `"unix:" has no path` + example,
		"unix:run/x.sock": `"run/x.sock" is not an absolute path; begin it with /`,
		"unix:/run/x\n":   `"/run/x\n" has unprintable characters; take them out`,
		"unix:" + tooDeep: "the path is too long for a unix socket; keep it to 107 bytes",
	} {
		c := config.Default()
		c.Listeners = []config.Listener{{Address: address, TLS: "auto"}}
		if strings.HasPrefix(address, "unix:") {
			c.Listeners[0].Mode = "0660"
		}
		got := ""
		if err := c.Validate(); err != nil {
			got = strings.TrimPrefix(err.Error(), "listeners[0].address: ")
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", address, got, want)
		}
	}
}

var tooDeep = "/" + strings.Repeat("x", config.MaxSocketBytes)

// TestManyRows: each list is bounded.
func TestManyRows(t *testing.T) {
	t.Parallel()
	const tls = "[tls]\ncertificate = \"/a.pem\"\nkey = \"/a.key\"\nclient_ca = \"/ca.pem\"\n"
	rows := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for name, test := range map[string]struct {
		text func(n int) string
		most int
		want string
	}{
		"clients.toml": {func(n int) string { return tls + rows(n, "[[tls.clients]]\nmatch = \"%d\"\n") }, config.MaxTLSClients,
			"clients.toml:5:7: tls.clients: 1025 entries are too many; keep to 1024"},
		"listeners.toml": {func(n int) string { return rows(n, "[[listeners]]\naddress = \"unix:/run/%d\"\n") }, config.MaxListeners,
			"listeners.toml:1:3: listeners: 17 entries are too many; keep to 16"},
		"sessions.yaml": {func(n int) string {
			return "tls: {certificate: /a, key: /a, client_ca: /a, clients: [{match: '*', sessions: [" + rows(n, "a%d, ") + "]}]}"
		}, 64, "sessions.yaml:1:71: tls.clients[0].sessions: 65 entries are too many; keep to 64"},
		"pattern.yaml": {func(n int) string {
			return "tls: {certificate: /a, key: /a, client_ca: /a, clients: [{match: " + strings.Repeat("x", n) + "}]}"
		}, 256, "pattern.yaml:1:59: tls.clients[0].match: the pattern is longer than 256 bytes, and no name is; shorten it"},
	} {
		load(t, config.Sources{File: write(t, name, test.text(test.most))})
		if diff := cmp.Diff([]string{test.want}, refused(t, config.Sources{File: write(t, name, test.text(test.most+1))})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	c := config.Default()
	c.Listeners, c.TLS.Clients = make([]config.Listener, config.MaxListeners+1), make([]config.TLSClient, config.MaxTLSClients+1)
	c.TLS.Certificate, c.TLS.Key, c.TLS.ClientCA = "/a", "/a", "/a"
	want := "tls.clients: 1025 entries are too many; keep to 1024\nlisteners: 17 entries are too many; keep to 16"
	if err := c.Validate(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestRowsOfSnippets: entries of tls.clients are merged by their match, those of listeners by their address.
func TestRowsOfSnippets(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"stepagent.yaml": "tls: {certificate: /a, key: /a, client_ca: /a, clients: [{match: a, connections: 5}, {match: b}]}\n" +
			"listeners: [{address: \"unix:/run/x\", mode: \"0600\"}]\n",
		"conf.d/1.toml": "[[tls.clients]]\nmatch = \"a\"\nsessions = [\"a-*\"]\n[[tls.clients]]\nmatch = \"c\"\n" +
			"[[listeners]]\naddress = \"unix:/run/x\"\ngroup = \"bench\"\n[[listeners]]\naddress = \"[::]:1\"\n",
		"conf.d/2.toml": "[[tls.clients]]\nmatch = \"a\"\nsessions = [\"b-*\"]\n",
	})
	got := load(t, config.Sources{File: filepath.Join(dir, "stepagent.yaml")})
	clients := []config.TLSClient{{Match: "a", Sessions: []string{"b-*"}, Connections: 5}, {Match: "b", Sessions: []string{"*"}},
		{Match: "c", Sessions: []string{"*"}}}
	listeners := []config.Listener{{Address: "unix:/run/x", TLS: "auto", Mode: "0600", Group: "bench"}, {Address: "[::]:1", TLS: "auto"}}
	if diff := cmp.Diff(clients, got.TLS.Clients); diff != "" {
		t.Errorf("clients (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(listeners, got.Listeners); diff != "" {
		t.Errorf("listeners (-want +got):\n%s", diff)
	}
	if want := filepath.Join(dir, "conf.d/1.toml") + ":8:1"; got.Place("listeners[0].group").String() != want {
		t.Errorf("the group is at %v, want %s", got.Place("listeners[0].group"), want)
	}
	alone := tree(t, map[string]string{"stepagent.toml": "port = 1\n", "conf.d/1.yaml": "listeners: [{address: \"[::]:1\"}]\n"})
	if got := load(t, config.Sources{File: filepath.Join(alone, "stepagent.toml")}).Listeners; len(got) != 1 {
		t.Errorf("the listener of a snippet alone: %+v", got)
	}
}

// TestTLSMode: auto is TLS where there is a certificate, but not on a unix socket.
func TestTLSMode(t *testing.T) {
	t.Parallel()
	var plain, certified config.Config
	certified.TLS.Certificate = "/a.pem"
	for _, test := range []struct {
		c    config.Config
		word string
		unix bool
		want string
	}{
		{plain, "auto", false, config.TLSOff}, {plain, "auto", true, config.TLSOff}, {plain, "off", false, config.TLSOff},
		{certified, "auto", false, config.TLSOn}, {certified, "auto", true, config.TLSOff},
		{certified, "off", false, config.TLSOff}, {certified, "on", true, config.TLSOn}, {certified, "either", false, config.TLSEither},
	} {
		if got := test.c.TLSMode(test.word, test.unix); got != test.want {
			t.Errorf("%q, unix %t, certificate %q: got %s, want %s", test.word, test.unix, test.c.TLS.Certificate, got, test.want)
		}
	}
}

// TestTLSNotReloadable: what a listener speaks cannot change while it listens.
func TestTLSNotReloadable(t *testing.T) {
	t.Parallel()
	certified := func(c *config.Config) { c.TLS.Certificate, c.TLS.Key = "/a.pem", "/a.key" }
	for name, test := range map[string]struct {
		old, next func(c *config.Config)
		want      []string
	}{
		"another certificate": {certified, func(c *config.Config) { c.TLS.Certificate, c.TLS.Key = "/b.pem", "/b.key" }, nil},
		"the rest of tls": {certified, func(c *config.Config) {
			certified(c)
			c.TLS.ClientCA, c.TLS.CRL, c.TLS.MinVersion, c.TLS.Identity, c.TLS.Connections = "/ca", "/crl", "1.2", []string{"cn"}, 5
			c.TLS.Clients, c.Session.Owner = []config.TLSClient{{Match: "*"}}, "address"
		}, nil},
		"mode":              {certified, func(c *config.Config) { certified(c); c.TLS.Mode = "either" }, []string{"tls.mode"}},
		"first certificate": {func(*config.Config) {}, certified, []string{"tls.certificate"}},
		"no certificate":    {certified, func(*config.Config) {}, []string{"tls.certificate"}},
		"first certificate of a plain agent": {func(c *config.Config) { c.TLS.Mode = "off" },
			func(c *config.Config) { certified(c); c.TLS.Mode = "off" }, nil},
		"a listener": {certified, func(c *config.Config) {
			certified(c)
			c.Listeners = []config.Listener{{Address: "[::]:1", TLS: "auto"}}
		}, []string{"listeners"}},
	} {
		old, next := config.Default(), config.Default()
		test.old(&old)
		test.next(&next)
		if diff := cmp.Diff(test.want, config.NotReloadable(old, next)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
