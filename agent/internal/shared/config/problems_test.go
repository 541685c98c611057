package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// refused loads what must be refused and returns the error's lines, the file without its
// folder.
func refused(t *testing.T, s config.Sources) []string {
	t.Helper()
	l, err := config.Load(s)
	if err == nil {
		t.Fatalf("%s is let through: %+v", s.File, l.Config)
	}
	var problems config.Problems
	if !errors.As(err, &problems) || len(problems) == 0 {
		t.Fatalf("%s: the error is %T, want Problems: %v", s.File, err, err)
	}
	text := err.Error()
	if s.File != "" {
		text = strings.ReplaceAll(text, filepath.Dir(s.File)+string(filepath.Separator), "")
	}
	return strings.Split(text, "\n")
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestProblems runs the files of testdata/problems.txtar. What comes after a blank line in a
// .want file is for readers.
func TestProblems(t *testing.T) {
	t.Parallel()
	archive, err := txtar.ParseFile("testdata/problems.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.Files)%2 != 0 {
		t.Fatal("a file has no .want after it")
	}
	for i := 0; i < len(archive.Files); i += 2 {
		file, want := archive.Files[i], archive.Files[i+1]
		t.Run(file.Name, func(t *testing.T) {
			t.Parallel()
			if want.Name != file.Name+".want" {
				t.Fatalf("%s comes after it, want %s.want", want.Name, file.Name)
			}
			expected, _, _ := strings.Cut(string(want.Data), "\n\n")
			expected = strings.TrimSuffix(expected, "\n")
			got := refused(t, config.Sources{File: write(t, file.Name, string(file.Data))})
			if diff := cmp.Diff(strings.Split(expected, "\n"), got); diff != "" {
				t.Errorf("the problems differ (-want +got):\n%s", diff)
			}
		})
	}
}

// TestProblemsOfBytes has the files that a text archive cannot hold.
func TestProblemsOfBytes(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	settings := "[[validators]]\nname = \"sequence\"\nsettings.x = "
	for name, test := range map[string]struct{ text, want string }{
		"empty.toml":   {"", "empty.toml: the file is empty, as a write leaves it that was cut off; write a comment for the defaults, such as # defaults, or start the agent without a file"},
		"empty.yml":    {"", "empty.yml: the file is empty, as a write leaves it that was cut off; write a comment for the defaults, such as # defaults, or start the agent without a file"},
		"spaces.yml":   {"\ufeff \n\t", "spaces.yml: the file is empty, as a write leaves it that was cut off; write a comment for the defaults, such as # defaults, or start the agent without a file"},
		"latin1.toml":  {"host = \"b\xfcro\"", "latin1.toml:1:10: byte 0xFC is not UTF-8; save the file as UTF-8"},
		"utf16.yaml":   {"\xff\xfeh\x00", "utf16.yaml:1:1: byte 0xFF is not UTF-8; save the file as UTF-8"},
		"escape.toml":  {"port = 1\nhost = \"ü\x1b[31m\"", `escape.toml:2:10: control character U+001B; take it out, or write it as \u001B in a string in double quotes`},
		"escape.yaml":  {"host: \"\x9b\"", "escape.yaml:1:8: byte 0x9B is not UTF-8; save the file as UTF-8"},
		"c1.yaml":      {"host: \"\u009b\"", `c1.yaml:1:8: control character U+009B; take it out, or write it as \u009B in a string in double quotes`},
		"break.yaml":   {"port: 1 # x\u2028host: 5", `break.yaml:1:12: control character U+2028; take it out, or write it as \u2028 in a string in double quotes`},
		"return.yaml":  {"port: 1\rhost: 5", `return.yaml:1:8: control character U+000D; take it out, or write it as \u000D in a string in double quotes`},
		"key.toml":     {`"\u001b[31m" = 1`, `key.toml:1:1: "\x1b[31m": unknown key; the keys here are host, port, allow, allow_faults, tls, session, limits, judging, plugins, reload, stop, log, record, admin, http, nats, fleet, listeners, validators, error_codes`},
		"keys.toml":    {"\"\\u001b\" = 1\n\"\\u001b\" = 1", `keys.toml:2:1: key \x1b is already defined; take one of the two out`},
		"bidi.toml":    {`host = "\u202e"`, `bidi.toml:1:1: host: "\u202e" is no address and no host name; write one such as "192.0.2.7" or "board-3.lan"`},
		"long.toml":    {`log.level = "` + strings.Repeat("x", 500) + `"`, `long.toml:1:5: log.level: "` + strings.Repeat("x", 48) + `..." is not one of debug, info, warn, error`},
		"longkey.toml": {strings.Repeat("x", 500) + " = 1", "longkey.toml:1:1: \"" + strings.Repeat("x", 48) + "...\": unknown key; the keys here are host, port, allow, allow_faults, tls, session, limits, judging, plugins, reload, stop, log, record, admin, http, nats, fleet, listeners, validators, error_codes"},
		"socket.toml":  {`admin.socket = "/` + strings.Repeat("x", 107) + `"`, "socket.toml:1:7: admin.socket: the path is too long for a unix socket; keep it to 107 bytes"},
		"deep.toml":    {settings + deep, "deep.toml:3:10: validators[0].settings.x" + strings.Repeat("[0]", 29) + ": is nested too deep; keep to 32 levels"},
		"deep.yaml":    {"validators:\n- name: sequence\n  settings:\n    x: " + deep, "deep.yaml:4:37: validators[0].settings.x" + strings.Repeat("[0]", 29) + ": is nested too deep; keep to 32 levels"},
		"deeper.yaml":  {strings.Repeat("[", 20000), "deeper.yaml:1: exceeded max depth of 10000"},
		"many.toml":    {manyValidators(65), "many.toml:1:3: validators: 65 validators are too many; keep to 64"},
		"big.toml":     {strings.Repeat("#", config.MaxFileBytes+1), "big.toml: is larger than 131072 bytes; is it a config?"},
		"config.json":  {"{}", `config.json: ".json" is no extension of a config; name it .toml, .yaml or .yml after its format`},
		"config":       {"port = 1", "config: has no extension; name it .toml, .yaml or .yml after its format"},
		"path.toml":    {"[[validators]]\nname = \"x\"\npath = \"/x\\u0000\"", `path.toml:3:1: validators[0].path: "/x\x00" has unprintable characters; take them out`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := refused(t, config.Sources{File: write(t, name, test.text)})
			if diff := cmp.Diff([]string{test.want}, got); diff != "" {
				t.Errorf("the problems differ (-want +got):\n%s", diff)
			}
		})
	}
}

func manyValidators(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[[validators]]\nname = \"sequence\"\nas = \"sequence-%d\"\n", i)
	}
	return b.String()
}

// TestOthersMayWrite: what others could write is not taken, unless nothing of it is executed.
func TestOthersMayWrite(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(file string) error{
		"the file":       func(file string) error { return os.Chmod(file, 0o666) },
		"the file group": func(file string) error { return os.Chmod(file, 0o660) },
		"the folder":     func(file string) error { return os.Chmod(filepath.Dir(file), 0o777) },
		"behind a link": func(file string) error {
			other := filepath.Join(filepath.Dir(filepath.Dir(file)), "open")
			return errors.Join(os.Mkdir(other, 0o700), os.Rename(file, filepath.Join(other, "x.toml")),
				os.Symlink(filepath.Join(other, "x.toml"), file), os.Chmod(other, 0o777))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := write(t, "x.toml", "port = 1\n")
			if err := spoil(file); err != nil {
				t.Fatal(err)
			}
			got := refused(t, config.Sources{File: file})
			if len(got) != 1 || !strings.HasPrefix(got[0],
				"x.toml: is not taken, as the agent executes what it names: others than the owner can write to ") {
				t.Errorf("got %q", got)
			}
			if _, err := config.Load(config.Sources{File: file, AnyOwner: true}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	missing := filepath.Join(dir, "none.toml")
	if got := refused(t, config.Sources{File: missing}); got[0] != "none.toml: there is no such file" {
		t.Errorf("a missing file: %q", got)
	}
	folder := filepath.Join(dir, "folder.toml")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	got := refused(t, config.Sources{File: folder})
	if got[0] != "folder.toml: is not a regular file; give the path of a config file" {
		t.Errorf("a folder: %q", got)
	}
	loop := filepath.Join(dir, "loop.toml")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	if got := refused(t, config.Sources{File: loop}); got[0] != "loop.toml: cannot be read: too many levels of symbolic links" {
		t.Errorf("a loop of links: %q", got)
	}
}
