package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// TestHTTPListen: without TLS only addresses that other machines cannot reach.
func TestHTTPListen(t *testing.T) {
	t.Parallel()
	const open, no = "can be reached from other machines; set http.tls to true", "is no address with a port"
	for listen, want := range map[string]string{
		"": "", "127.0.0.1:8081": "", "127.9.9.9:0": "", "[::1]:8081": "", "localhost:65535": "",
		"0.0.0.0:8081": open, "[::]:8081": open, ":8081": open, "192.0.2.7:8081": open, "board-3.lan:8081": open,
		"[::ffff:127.0.0.1]:8081": open, "[fe80::1%eth0]:8081": open, "localhost.example:1": open,
		"8081": no, "127.0.0.1": no, "127.0.0.1:": no, "127.0.0.1:http": no, "127.0.0.1:65536": no, "::1:8081": no, "a b:1": no, "localhost:-1": no,
	} {
		c := config.Default()
		c.HTTP.Listen = listen
		err := c.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", listen, err, want)
		}
	}
}

// TestHTTPOverTLS: any address, with a certificate.
func TestHTTPOverTLS(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.HTTP.Listen, c.HTTP.TLS = "0.0.0.0:8081", true
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "http.tls needs a certificate") {
		t.Errorf("got %v", err)
	}
	c.TLS.Certificate, c.TLS.Key = "/a.pem", "/a.key"
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

// TestTokenFileOfAService is in systemd's folder for its state.
func TestTokenFileOfAService(t *testing.T) {
	t.Parallel()
	got := load(t, config.Sources{Environ: []string{"STATE_DIRECTORY=/var/lib/stepagent@left", "STEPAGENT_HTTP_HOSTS=a.example, b.example"}})
	if got.HTTP.TokenFile != "/var/lib/stepagent@left/http-token" || len(got.HTTP.Hosts) != 2 || got.HTTP.Hosts[1] != "b.example" {
		t.Errorf("got %+v", got.HTTP)
	}
}

// TestShownHasNoSecrets: what a program of the user's is given may be one.
func TestShownHasNoSecrets(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "agent.toml")
	text := `
session.idle_timeout = "90s"
error_codes.busy = 7
[[validators]]
name = "min_timeout"
settings = { seconds = 2 }
[[validators]]
name = "torque"
as = "front"
path = "/usr/bin/torque"
args = ["--token", "hidden-1"]
settings = { password = "hidden-2", nested = { key = "hidden-3" } }
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	shown := load(t, config.Sources{File: file, AnyOwner: true}).Shown()
	want := []map[string]any{
		{"name": "min_timeout", "as": "min_timeout", "settings": map[string]any{"seconds": 2.0}},
		{"name": "torque", "as": "front", "path": "/usr/bin/torque", "args": "(left out)",
			"settings": map[string]any{"password": "(left out)", "nested": "(left out)"}},
	}
	if diff := cmp.Diff(want, shown["validators"]); diff != "" {
		t.Errorf("the validators (-want +got):\n%s", diff)
	}
	if got := shown["session"].(map[string]any)["idle_timeout"]; got != "1m30s" {
		t.Errorf("the idle timeout is %v", got)
	}
	if len(shown) != 20 || shown["port"] != 8080 {
		t.Errorf("%d keys: %v", len(shown), shown)
	}
}
