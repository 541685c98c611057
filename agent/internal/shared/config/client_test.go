package config

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// clientKeys are settings of each type.
func clientKeys() []ClientKey {
	return []ClientKey{
		{Name: "host", Type: Text, Default: "localhost", Check: func(text string) error {
			if strings.Contains(text, ":") {
				return errors.New("holds a port")
			}
			return nil
		}},
		{Name: "port", Type: Whole, Default: "8080", Check: func(text string) error {
			_, err := strconv.ParseUint(text, 10, 16)
			return err
		}},
		{Name: "dial_wait", Type: Number, Default: "5", Check: func(string) error { return nil }},
	}
}

// loadClient loads the settings of a file in the given format; no text means no file.
func loadClient(t *testing.T, extension, text string, environ []string, set map[string]string) (Client, string, error) {
	t.Helper()
	s := ClientSources{Keys: clientKeys(), Environ: environ, Set: set}
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
		{"a file", "host = \"a\"\nport = 1\ndial_wait = 0.5", nil, nil, "a of c.toml:1:1, 1 of c.toml:2:1, 0.5 of c.toml:3:1"},
		{"a file that says nothing", "# all is commented out\n", nil, nil, "localhost of default, 8080 of default, 5 of default"},
		{"a whole number of seconds", "dial_wait = 7", nil, nil, "localhost of default, 8080 of default, 7 of c.toml:1:1"},
		{"the environment over the file", "host = \"a\"\nport = 1", []string{"STEPCTL_HOST=b", "PATH=/bin"}, nil,
			"b of STEPCTL_HOST, 1 of c.toml:2:1, 5 of default"},
		{"an empty variable", "port = 1", []string{"STEPCTL_PORT="}, nil, "localhost of default, 1 of c.toml:1:1, 5 of default"},
		{"the last of equal variables", "", []string{"STEPCTL_PORT=1", "STEPCTL_PORT=2"}, nil,
			"localhost of default, 2 of STEPCTL_PORT, 5 of default"},
		{"a flag over all", "port = 1\ndial_wait = 2", []string{"STEPCTL_PORT=2", "STEPCTL_DIAL_WAIT=3"}, map[string]string{"dial_wait": "4", "port": "3"},
			"localhost of default, 3 of --port, 4 of --dial-wait"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, folder, err := loadClient(t, ".toml", tt.file, tt.environ, tt.set)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range client.Settings {
				from := s.Place.String()
				if s.Place == (Place{}) {
					from = "default"
				}
				got = append(got, s.Text+" of "+strings.TrimPrefix(from, folder))
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
		{".toml", "port = \"1\"\nhots = \"a\"\ndial_wait = \"5s\"\n", []string{"STEPCTL_PORT=x", "STEPCTL_HOTS=a", "STEPCTL_VERBOSE=1"}, []string{
			`c.toml:1:1: port: want a whole number, got the string "1"; write it without quotes`,
			`c.toml:2:1: hots: unknown key; did you mean host?`,
			`c.toml:3:1: dial_wait: want a number, got the string "5s"; write one such as 5 or 0.5, without a unit`,
			`STEPCTL_HOTS: stepctl knows no such variable; did you mean STEPCTL_HOST?`,
			`STEPCTL_PORT: wrong value "x": strconv.ParseUint: parsing "x": invalid syntax`,
			`STEPCTL_VERBOSE: stepctl knows no such variable; unset it`,
		}},
		{".yaml", "port: 8080.0\nhost: a:1\nlimits: {a: 1}\ndial_wait:\n", nil, []string{
			`c.yaml:1:1: port: want a whole number, got one with a point or an exponent; write 8080`,
			`c.yaml:2:1: host: wrong value "a:1": holds a port`,
			`c.yaml:3:1: limits: unknown key; the keys here are host, port, dial_wait`,
			`c.yaml:4:1: dial_wait: want a number, got no value; write one such as 5 or 0.5, without a unit`,
		}},
		{".yml", "host: 5\nport: 0x\n", nil, []string{
			`c.yml:1:1: host: want a string, got the number 5; write it in quotes`,
			`c.yml:2:1: port: want a whole number, got the string "0x"; write one such as 5`,
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
	if diff := cmp.Diff(names, client.Ignored); diff != "" || client.Settings[1].Text != "1" {
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
