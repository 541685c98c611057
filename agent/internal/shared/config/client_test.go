package config

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// loadClient loads the settings of a file in the given format; no text means no file.
func loadClient(t *testing.T, extension, text string, environ []string, set map[string]string) (*LoadedClient, string, error) {
	t.Helper()
	s := Sources{Environ: environ, Set: set}
	folder := t.TempDir()
	if text != "" {
		s.File = filepath.Join(folder, "c"+extension)
		if err := os.WriteFile(s.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	client, err := LoadClient(s)
	return client, folder + "/", err
}

func TestClientPrecedence(t *testing.T) {
	tests := []struct {
		name, file string
		environ    []string
		set        map[string]string
		want       string
	}{
		{"defaults", "", nil, nil, "localhost of default, 8080 of default, 5 of default"},
		{"a file", "host = \"a\"\nport = 1\ntimeout = 0.5", nil, nil, "a of c.toml:1:1, 1 of c.toml:2:1, 0.5 of c.toml:3:1"},
		{"a file that says nothing", "# all is commented out\n", nil, nil, "localhost of default, 8080 of default, 5 of default"},
		{"a whole number of seconds", "timeout = 7", nil, nil, "localhost of default, 8080 of default, 7 of c.toml:1:1"},
		{"the environment over the file", "host = \"a\"\nport = 1", []string{"STEPCTL_HOST=b", "PATH=/bin"}, nil,
			"b of STEPCTL_HOST, 1 of c.toml:2:1, 5 of default"},
		{"an empty variable", "port = 1", []string{"STEPCTL_PORT="}, nil, "localhost of default, 1 of c.toml:1:1, 5 of default"},
		{"the last of equal variables", "", []string{"STEPCTL_PORT=1", "STEPCTL_PORT=2"}, nil,
			"localhost of default, 2 of STEPCTL_PORT, 5 of default"},
		{"a flag over all", "port = 1\ntimeout = 2", []string{"STEPCTL_PORT=2", "STEPCTL_TIMEOUT=3"}, map[string]string{"timeout": "4", "port": "3"},
			"localhost of default, 3 of --port, 4 of --timeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, folder, err := loadClient(t, ".toml", tt.file, tt.environ, tt.set)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range client.Settings[:3] { // host, port, timeout
				got = append(got, s.Value+" of "+strings.TrimPrefix(s.From, folder))
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, ", ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Everything that is wrong is told at once, with file, line and key, or with the variable.
func TestClientProblems(t *testing.T) {
	tests := []struct {
		extension, file string
		environ         []string
		want            []string
	}{
		{".toml", "port = \"1\"\nhots = \"a\"\ntimeout = \"5s\"\n", []string{"STEPCTL_PORT=x", "STEPCTL_HOTS=a", "STEPCTL_VERBOSE=1"}, []string{
			`c.toml:1:1: port: want a whole number, got the string "1"; write it without quotes`,
			`c.toml:2:1: hots: unknown key; did you mean host?`,
			`c.toml:3:1: timeout: want a number, got the string "5s"; write one such as 5 or 0.5, without a unit`,
			`STEPCTL_HOTS: stepctl knows no such variable; did you mean STEPCTL_HOST?`,
			`STEPCTL_PORT: want a whole number from 1 to 65535, got "x"`,
			`STEPCTL_VERBOSE: stepctl knows no such variable; unset it`,
		}},
		{".yaml", "port: 8080.0\nhost: a:b\nlimits: {a: 1}\ntimeout:\n", nil, []string{
			`c.yaml:1:1: port: want a whole number, got one with a fraction or an exponent; write 8080`,
			`c.yaml:2:1: host: "a:b" has no valid port; write a number from 1 to 65535 after the colon`,
			`c.yaml:3:1: limits: unknown key; the keys here are host, port, timeout, data, wait, max_strays, lang, log_format, db, tls, ca, cert, key, server_name, keylog, nats_url, nats_credentials, nats_user, nats_password, nats_ca, nats_cert, nats_key, fleet`,
			`c.yaml:4:1: timeout: want a number, got no value; write one such as 5 or 0.5, without a unit`,
		}},
		{".yml", "host: 5\nport: 0x\n", nil, []string{
			`c.yml:1:1: host: want a string, got the number 5; write it in quotes`,
			`c.yml:2:1: port: want a whole number, got the string "0x"; write a number from 1 to 65535`,
		}},
		{".toml", "port = 1\nport = 2\n", nil, []string{"c.toml:2:1: key port is already defined; take one of the two out"}},
		{".ini", "port = 1\n", nil, []string{`c.ini: ".ini" is no extension of a config; name it .toml, .yaml or .yml after its format`}},
	}
	for _, tt := range tests {
		_, folder, err := loadClient(t, tt.extension, tt.file, tt.environ, nil)
		if err == nil {
			t.Errorf("%q is taken", tt.file)
			continue
		}
		got := strings.Split(strings.ReplaceAll(err.Error(), folder, ""), "\n")
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// A service called stepctl in Kubernetes, or one whose name begins so, sets no setting.
func TestClientIgnoresVariablesOfServices(t *testing.T) {
	environ := []string{
		"STEPCTL_ENV_PATH=/bin", "STEPCTL_NAME=/web/stepctl",
		"STEPCTL_PORT=tcp://10.0.0.1:7", "STEPCTL_PORT_7_TCP=tcp://10.0.0.1:7", "STEPCTL_PORT_7_TCP_ADDR=10.0.0.1",
		"STEPCTL_PORT_7_TCP_PORT=7", "STEPCTL_PORT_7_TCP_PROTO=tcp", "STEPCTL_SERVICE_HOST=10.0.0.1", "STEPCTL_SERVICE_PORT=7",
		"STEPCTL_SERVICE_PORT_HTTP=7", "STEPCTL_WEB_PORT=udp://10.0.0.2:53", "STEPCTL_WEB_SERVICE_HOST=10.0.0.2",
	}
	var names []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		names = append(names, name)
	}
	client, _, err := loadClient(t, ".toml", "port = 1", environ, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(names, client.Ignored); diff != "" || client.Settings[1].Value != "1" {
		t.Errorf("%s; settings %+v", diff, client.Settings)
	}
	for _, wrong := range []string{"STEPCTL_PORT=http://10.0.0.1", "STEPCTL_SERVICE=x", "STEPCTL_HOSTS=tcp://10.0.0.1:7", "STEPCTL_NAME=x"} {
		if _, _, err := loadClient(t, "", "", []string{wrong}, nil); err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}

func TestClientFile(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", folder)
	here := filepath.Join(folder, "stepctl")
	find := func(want, wantError string) {
		t.Helper()
		got, err := ClientFile()
		if strings.TrimPrefix(got, here+"/") != want || (err == nil) != (wantError == "") || err != nil && !strings.Contains(err.Error(), wantError) {
			t.Errorf("got %q, error %v, want %q, %q", got, err, want, wantError)
		}
	}
	find("", "")
	if err := os.Mkdir(here, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config.yml", "config.yaml", "config.toml"} {
		path := filepath.Join(here, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		find(name, "")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	// A link to nothing is found, so that reading it fails.
	if err := os.Symlink("gone", filepath.Join(here, "config.toml")); err != nil {
		t.Fatal(err)
	}
	find("config.toml", "")
	if err := os.WriteFile(filepath.Join(here, "config.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	find("", "config.yaml as well; keep one of the two")
	t.Setenv("XDG_CONFIG_HOME", "/dev/null")
	find("", "")
	t.Setenv("XDG_CONFIG_HOME", "not/absolute")
	find("", "")
}

func TestClientAddress(t *testing.T) {
	good := map[string]string{
		"localhost": "localhost:8080", "bench-7.lab": "bench-7.lab:8080", "under_score": "under_score:8080",
		"10.0.0.7": "10.0.0.7:8080", "::1": "[::1]:8080", "[fe80::1%eth0]": "[fe80::1%eth0]:8080", "fe80::1%eth0": "[fe80::1%eth0]:8080",
		"보드": "보드:8080", "bench:80": "bench:80", "[::1]:80": "[::1]:80", "[fe80::1%eth0]:80": "[fe80::1%eth0]:80",
		"a,b:81, [::1]:82,::2": "a:8080 b:81 [::1]:82 [::2]:8080", "a:1,a:2": "a:1 a:2",
	}
	for host, want := range good {
		client, err := LoadClient(Sources{Set: map[string]string{"host": host}})
		if err != nil || strings.Join(client.Addresses(), " ") != want || client.Address() != client.Addresses()[0] {
			t.Errorf("the address of %q is %v, %v, want %q", host, client, err, want)
		}
	}
	bad := map[string]string{
		"": "is empty", "a b": "neither", "a\n": "neither", "[::1": "neither", "::1]": "neither", "[bench]": "neither",
		"bench:": "no valid port", "bench:0": "no valid port", "bench:65536": "no valid port", "bench:http": "no valid port", "1:2:3": "neither",
		":80": "neither", "[bench]:80": "neither", "[::1]:": "no valid port", "[fe80::1]:80": "link-local", "a,b c": "neither", "a,,b": "a comma without a host",
		"a,": "a comma without a host", "a,b,a": "names a twice", "a:1,[a]:1": "neither", "a" + strings.Repeat(",b", 16): "names 17 agents; at most 16",
		"tcp://bench": "no host", "bench/": "no host", "10.0.0.0/8": "no host", "fe80::1%": "neither",
		"fe80::1": "link-local address; name the interface too, such as fe80::1%eth0", "[fe80::1]": "link-local",
	}
	for host, want := range bad {
		if _, err := LoadClient(Sources{Set: map[string]string{"host": host}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the host %q: %v, want an error with %q", host, err, want)
		}
	}
}

func TestParseSeconds(t *testing.T) {
	good := map[string]time.Duration{
		"5": 5 * time.Second, "0.01": 10 * time.Millisecond, "1e-3": time.Millisecond, "3153600000": 876000 * time.Hour,
	}
	for text, want := range good {
		if got, err := ParseSeconds(text); err != nil || got != want {
			t.Errorf("%s gave %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "1e-12", "nan", "inf", "-inf", "1e300", "3153600001", "5s"} {
		if got, err := ParseSeconds(text); err == nil || got != 0 {
			t.Errorf("%s gave %v, want an error", text, got)
		}
	}
}

func TestClientPort(t *testing.T) {
	for text, want := range map[string]int{"1": 1, "65535": 65535, "0080": 80} {
		client, err := LoadClient(Sources{Set: map[string]string{"port": text}})
		if err != nil || client.Port != want {
			t.Errorf("%s gave %v, %v", text, client, err)
		}
	}
	for _, text := range []string{"", "0", "65536", "-1", "+1", "http", "8080 ", "0x50"} {
		if _, err := LoadClient(Sources{Set: map[string]string{"port": text}}); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v, want an error that shows it", text, err)
		}
	}
}

// Passwords of a database are shown nowhere: not in settings, and not in errors.
func TestWithoutPassword(t *testing.T) {
	for place, want := range map[string]string{
		"":                       "",
		"runs.db":                "runs.db",
		"/a b/c@d":               "/a b/c@d",
		"postgres://lab@db/runs": "postgres://lab@db/runs",
		"postgres://lab:s3cret@db:5432/runs?sslmode=disable":    "postgres://lab:xxxxx@db:5432/runs?sslmode=disable",
		"postgresql://:s3cret@db/runs":                          "postgresql://:xxxxx@db/runs",
		"postgres:///runs?host=/run&password=s3cret&user=a%20":  "postgres:///runs?host=/run&password=xxxxx&user=a%20",
		"postgres://db/runs?%70assword=s3cret":                  "postgres://db/runs?%70assword=xxxxx",
		"postgres://db/runs?PassWord=s3cret&sslpassword=s3cret": "postgres://db/runs?PassWord=xxxxx&sslpassword=xxxxx",
		"postgres://lab:s3%cret@db/runs":                        "postgres://...",
		"mysql://lab:s3cret@db/runs":                            "mysql://lab:xxxxx@db/runs",
	} {
		if got := WithoutPassword(place); got != want {
			t.Errorf("%s is shown as %s, want %s", place, got, want)
		}
	}
}

func FuzzWithoutPassword(f *testing.F) {
	f.Add("lab", "s3cret", "db", "sslmode=disable")
	f.Add("a:b", "p@/?#", "[::1]:5432", "password=s3cret-2")
	f.Fuzz(func(t *testing.T, user, password, host, query string) {
		const mark = "HIDDEN-MARK"
		for _, place := range []string{
			"postgres://" + user + ":" + mark + password + "@" + host + "/runs?" + query,
			"postgres://" + host + "/runs?" + query + "&password=" + mark + password,
		} {
			if at, err := url.Parse(place); err == nil && (at.User == nil || !strings.Contains(at.User.String(), mark)) && !strings.Contains(at.Query().Get("password"), mark) {
				continue // the mark is no part of a password there
			}
			if shown := WithoutPassword(place); strings.Contains(shown, mark) {
				t.Errorf("%q is shown as %q", place, shown)
			}
		}
	})
}

func TestClientDatabase(t *testing.T) {
	for place, want := range map[string]string{
		"": "", "runs.db": "", "postgres://lab:s3cret@db/runs": "", "postgres:///runs?host=/run/postgresql": "",
		"mysql://lab:s3cret@db/runs": `"mysql" is no scheme of a database; write postgres://`, "postgres://": "not valid",
		"postgres://lab:s3%cret@db/runs": "not valid", "a\nb": "unprintable",
	} {
		client, err := LoadClient(Sources{Environ: []string{"STEPCTL_DB=" + place}})
		switch {
		case want == "" && (err != nil || client.DB != place):
			t.Errorf("%q gave %+v, %v", place, client, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want an error with %q", place, err, want)
		case err != nil && strings.Contains(err.Error(), "cret"), client != nil && strings.Contains(fmt.Sprint(client.Settings), "cret"):
			t.Errorf("%q: the password is shown: %v, %v", place, err, client)
		}
	}
}
