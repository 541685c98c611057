package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// Each contradiction in [nats] and [fleet] is found, and says what to do.
func TestFleetFindings(t *testing.T) {
	t.Parallel()
	servers := []string{"nats://a:4222"}
	for name, test := range map[string]struct {
		change func(*config.Config)
		want   string // of the first problem; empty for none
	}{
		"no NATS":                     {func(*config.Config) {}, ""},
		"NATS alone":                  {func(c *config.Config) { c.NATS.URL = servers }, ""},
		"results":                     {func(c *config.Config) { c.NATS.URL, c.Fleet.Results, c.Record.Enabled = servers, true, true }, ""},
		"control":                     {func(c *config.Config) { c.NATS.URL, c.Fleet.Control = servers, true }, ""},
		"results without a record":    {func(c *config.Config) { c.NATS.URL, c.Fleet.Results = servers, true }, "fleet.results: fleet.results publishes the agent's own record, which is off; set record.enabled to true, or fleet.results to false"},
		"results without NATS":        {func(c *config.Config) { c.Fleet.Results, c.Record.Enabled = true, true }, "fleet.results: fleet.results needs NATS; set nats.url to the addresses of its servers, or fleet.results to false"},
		"control without NATS":        {func(c *config.Config) { c.Fleet.Control = true }, "fleet.control: fleet.control needs NATS; set nats.url to the addresses of its servers, or fleet.control to false"},
		"a user without a password":   {func(c *config.Config) { c.NATS.User = "board" }, "nats.user: nats.user has no password; set nats.password to a reference such as ${file:/etc/stepagent/nats-password}"},
		"a password without a user":   {func(c *config.Config) { c.NATS.Password = "${env:P}" }, "nats.password: nats.password is the password of no user; set nats.user"},
		"a user beside credentials":   {func(c *config.Config) { c.NATS.Credentials, c.NATS.User, c.NATS.Password = "/x", "board", "${env:P}" }, "nats.credentials: nats.credentials and nats.user are two ways to say the same; take one of the two out"},
		"a key without a certificate": {func(c *config.Config) { c.NATS.Key = "/x" }, "nats.key: nats.key is the key of no certificate; set nats.cert to the file of its certificate"},
		"a certificate without a key": {func(c *config.Config) { c.NATS.Cert = "/x" }, "nats.cert: nats.cert has no key; set nats.key to the file of its private key"},
		"a plain password":            {func(c *config.Config) { c.NATS.User, c.NATS.Password = "board", "secret" }, "nats.password: is no reference; keep the password out of the config and write ${file:/PATH} or ${env:NAME}"},
		"text around a reference":     {func(c *config.Config) { c.NATS.User, c.NATS.Password = "board", "a${env:P}" }, "nats.password: is no reference; keep the password out of the config and write ${file:/PATH} or ${env:NAME}"},
		"a dot in the fleet":          {func(c *config.Config) { c.Fleet.Name = "lab.1" }, `fleet.name: "lab.1" cannot be part of a subject; write up to 64 of A-Z, a-z, 0-9, - and _`},
		"a star as the board":         {func(c *config.Config) { c.Fleet.Board = "*" }, `fleet.board: "*" cannot be part of a subject; write up to 64 of A-Z, a-z, 0-9, - and _`},
		"relative credentials":        {func(c *config.Config) { c.NATS.Credentials = "nats.creds" }, `nats.credentials: "nats.creds" is not an absolute path; write one such as "/etc/stepagent/nats.creds"`},
		"an empty fleet":              {func(c *config.Config) { c.Fleet.Name = "" }, `fleet.name: "" cannot be part of a subject; write up to 64 of A-Z, a-z, 0-9, - and _`},
	} {
		c := config.Default()
		test.change(&c)
		got := ""
		if err := c.Validate(); err != nil {
			got = err.(config.Problems)[0].Error()
		}
		if got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, test.want)
		}
	}
}

// The addresses of servers are checked, and no message shows a password.
func TestServers(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"nats://a:4222", "tls://a.lan", "nats://192.0.2.1:4222", "tls://[2001:db8::1]:4222", "wss://a/path"} {
		c := config.Default()
		c.NATS.URL = []string{address}
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"", "a:4222", "http://a", "nats://", "nats://:4222", "nats://a:x", "nats://a/path", "nats://a?x=1",
		"nats://user:secret@a", "nats://us%er:secret@a", "nats://a:4222\n", "nats//a"} {
		c := config.Default()
		c.NATS.URL = []string{"nats://b", address}
		err := c.Validate()
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestBoardName(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{"board-7": "board-7", "board-7.lab.example": "board-7-lab-example", "": "board",
		"a b*c>d": "a-b-c-d", "보드": "--", strings.Repeat("x", 100): strings.Repeat("x", 64)} {
		if got := (config.Fleet{}).BoardName(host); got != want || !config.IsFleetName(got) {
			t.Errorf("the host %q is the board %q, want %q", host, got, want)
		}
	}
	if got := (config.Fleet{Board: "bench"}).BoardName("host"); got != "bench" {
		t.Errorf("got %q", got)
	}
}

// The password comes from a file that only the agent may read, and is in nothing that is shown.
func TestNATSPassword(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret, text := filepath.Join(dir, "password"), filepath.Join(dir, "agent.toml")
	write := func(name, content string, mode os.FileMode) {
		if err := os.WriteFile(name, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	write(secret, "tell-no-one\n", 0o600)
	write(text, "[nats]\nurl = [\"nats://a\"]\nuser = \"board\"\npassword = \"${file:"+secret+"}\"\nkey = \"/k\"\ncert = \"/c\"\nca = \"/a\"\n", 0o600)
	l := load(t, config.Sources{File: text, AnyOwner: true})
	if got, err := l.NATSPassword(); got != "tell-no-one" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	want := []config.NamedFile{{Key: "nats.ca", Path: "/a"}, {Key: "nats.cert", Path: "/c"}, {Key: "nats.key", Path: "/k", Secret: true},
		{Key: "nats.password", Path: secret, Secret: true}}
	if diff := cmp.Diff(want, l.NamedFiles()); diff != "" {
		t.Errorf("named files (-want +got):\n%s", diff)
	}
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	if _, err := l.NATSPassword(); err == nil || !strings.HasPrefix(err.Error(), text+":4:1: nats.password: there is no file ") {
		t.Errorf("a missing file: %v", err)
	}
	if got, err := load(t, config.Sources{}).NATSPassword(); got != "" || err != nil {
		t.Errorf("no password: %q, %v", got, err)
	}
}
