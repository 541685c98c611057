package config_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/protocol"
)

// tree writes files below a new folder and returns it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestSnippetsAreLaidOverTheFile in the order of their names, in any format.
func TestSnippetsAreLaidOverTheFile(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"stepagent.toml": "host = \"::\"\nport = 1\nallow = [\"all\"]\n[session]\nsteps = 1\nidle_timeout = \"1s\"\n" +
			"[error_codes]\nbusy = 2\ninternal = 2\n",
		"conf.d/10-a.yaml": "port: 2\nsession: {steps: 2}\nerror_codes: {internal: 3}\n",
		"conf.d/20-b.toml": "port = 3\nallow = [\"loopback\", \"private\"]\n",
		"conf.d/9-c.yml":   "port: 4\n", // 9 comes after 2: by the bytes of the names
		// Nothing of these is read.
		"conf.d/99.toml.dpkg-old": "port = 5", "conf.d/.#99.toml": "port = 6", "conf.d/README": "port = 7",
		"conf.d/99.conf": "port = 8", "conf.d/more/99.toml": "port = 9", "stepagent.d/99.toml": "port = 10",
	})
	l := load(t, config.Sources{File: filepath.Join(dir, "stepagent.toml")})
	want := config.Default()
	want.Host, want.Port, want.Session.Steps, want.Session.IdleTimeout = "::", 4, 2, 1e9
	want.Allow = []string{"loopback", "private"}
	want.ErrorCodes = map[protocol.Reason]int{"busy": 2, "internal": 3}
	if diff := cmp.Diff(want, l.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	var read []string
	for _, name := range []string{"stepagent.toml", "conf.d/10-a.yaml", "conf.d/20-b.toml", "conf.d/9-c.yml"} {
		read = append(read, filepath.Join(dir, name))
	}
	if diff := cmp.Diff(read, l.Files()); diff != "" {
		t.Errorf("files read (-want +got):\n%s", diff)
	}
	if got := l.File(); got != read[0] {
		t.Errorf("the file is %q, want %q", got, read[0])
	}
	for key, want := range map[string]string{
		"host": "stepagent.toml:1:1", "port": "conf.d/9-c.yml:1:1", "session.steps": "conf.d/10-a.yaml:2:11",
		"session.idle_timeout": "stepagent.toml:6:1", "session.resume_window": "stepagent.toml:4:2",
		"allow": "conf.d/20-b.toml:2:1", "error_codes.internal": "conf.d/10-a.yaml:3:15", "log.level": "",
	} {
		got := strings.TrimPrefix(l.Place(key).String(), dir+"/")
		if got != want {
			t.Errorf("%s was written at %q, want %q", key, got, want)
		}
	}
}

// TestSnippetDir: configs with other names have folders of their own.
func TestSnippetDir(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"/etc/stepagent/stepagent.toml": "/etc/stepagent/conf.d", "stepagent.yaml": "conf.d",
		"/etc/stepagent/line-2.toml": "/etc/stepagent/line-2.d", "./a.b.yml": "a.b.d",
	} {
		if got := config.SnippetDir(file); got != want {
			t.Errorf("the snippets of %s are in %s, want %s", file, got, want)
		}
	}
	dir := tree(t, map[string]string{"a.toml": "port = 1", "conf.d/x.toml": "port = 2", "a.d/x.toml": "port = 3"})
	if got := load(t, config.Sources{File: filepath.Join(dir, "a.toml")}).Port; got != 3 {
		t.Errorf("the port is %d, want that of a.d", got)
	}
}

// TestValidatorsOfSnippets are merged by their names into the list so far.
func TestValidatorsOfSnippets(t *testing.T) {
	t.Parallel()
	const list = "[[validators]]\nname = \"min_timeout\"\nsettings = { seconds = 3, note = \"a\" }\n" +
		"[[validators]]\nname = \"torque\"\nas = \"front\"\npath = \"bin/torque\"\nargs = [\"-a\", \"-b\"]\n"
	for name, test := range map[string]struct {
		file, snippet string // TOML
		want          []string
	}{
		"one more than the defaults": {"", "[[validators]]\nname = \"pacing\"\n",
			[]string{"sequence", "min_timeout", "pacing"}},
		"a default changed": {"", "[[validators]]\nname = \"sequence\"\nsettings = { last = 5 }\n",
			[]string{`sequence {"last":5}`, "min_timeout"}},
		"settings by key": {list, "[[validators]]\nname = \"min_timeout\"\nsettings = { seconds = 8, other = 1 }\n",
			[]string{`min_timeout {"note":"a","other":1,"seconds":8}`, "torque front DIR/bin/torque -a -b"}},
		"found by as": {list, "[[validators]]\nas = \"front\"\npath = \"torque2\"\nargs = [\"-c\"]\n",
			[]string{`min_timeout {"note":"a","seconds":3}`, "torque front DIR/conf.d/torque2 -c"}},
		"another of the same program": {list, "[[validators]]\nname = \"torque\"\npath = \"/x\"\n",
			[]string{`min_timeout {"note":"a","seconds":3}`, "torque front DIR/bin/torque -a -b", "torque /x"}},
		"an empty list in the file": {"validators = []\n", "[[validators]]\nname = \"pacing\"\n", []string{"pacing"}},
	} {
		dir := tree(t, map[string]string{"stepagent.toml": "port = 1\n" + test.file, "conf.d/x.toml": test.snippet})
		var got []string
		for _, v := range load(t, config.Sources{File: filepath.Join(dir, "stepagent.toml")}).Validators {
			words := []string{v.Name}
			if v.As != v.Name {
				words = append(words, v.As)
			}
			words = slices.DeleteFunc(append(append(words, v.Path, string(v.Settings)), v.Args...),
				func(s string) bool { return s == "" })
			got = append(got, strings.ReplaceAll(strings.Join(words, " "), dir, "DIR"))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestBadSnippets: what is wrong in any file is told with the file, its line and the key, and
// with the rest that is wrong; that another file wins over it is no excuse.
func TestBadSnippets(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"each file": {map[string]string{"stepagent.toml": "prot = 1\n", "conf.d/1.yaml": "port: x\n", "conf.d/2.toml": "\nport = 70000\n"}, []string{
			"stepagent.toml:1:1: prot: unknown key; did you mean port?",
			`conf.d/1.yaml:1:1: port: want a whole number, got the string "x"; write a number from 0 to 65535`,
			"conf.d/2.toml:2:1: port: 70000 is out of range; write a number from 0 to 65535",
		}},
		"overridden": {map[string]string{"stepagent.toml": "port = \"x\"\nlog = 1\n", "conf.d/1.toml": "port = 1\nlog.level = \"info\"\n"}, []string{
			`stepagent.toml:1:1: port: want a whole number, got the string "x"; write a number from 0 to 65535`,
			"stepagent.toml:2:1: log: want a table, got the number 1",
		}},
		"syntax": {map[string]string{"stepagent.toml": "port = 1\n", "conf.d/1.toml": "port =\n", "conf.d/2.yaml": "prot: 1\n"}, []string{
			"conf.d/1.toml:1:7: no value that TOML knows; write a string in quotes, a number without a unit, true or false",
			"conf.d/2.yaml:1:1: prot: unknown key; did you mean port?",
		}},
		"together": {map[string]string{"stepagent.toml": "[judging]\nfloor = \"20s\"\n", "conf.d/1.toml": "judging.cap = \"10s\"\n"}, []string{
			"stepagent.toml:2:1: judging.floor: judging.floor is 20s, more than judging.cap, 10s; lower the floor or raise the cap",
		}},
		"a validator": {map[string]string{"stepagent.toml": "port = 1\n", "conf.d/1.toml": "[[validators]]\nname = \"pacing\"\npth = \"/x\"\n"}, []string{
			"conf.d/1.toml:3:1: validators[2].pth: unknown key; did you mean path?",
		}},
		"twice": {map[string]string{"stepagent.toml": "port = 1\n", "conf.d/1.toml": "[[validators]]\nname = \"sequence\"\n[[validators]]\nname = \"sequence\"\n"}, []string{
			"conf.d/1.toml:3:3: validators[2].as: the name sequence is taken by validators[0]; give this validator one of its own with as",
		}},
		"no name": {map[string]string{"stepagent.toml": "port = 1\n", "conf.d/1.toml": "[[validators]]\nsettings = { seconds = 1 }\n"}, []string{
			`conf.d/1.toml:1:3: validators[2].name: the validator has no name; add one, such as name = "sequence"`,
		}},
		"no list": {map[string]string{"stepagent.toml": "port = 1\n", "conf.d/1.yaml": "validators: {name: sequence}\n"}, []string{
			"conf.d/1.yaml:1:1: validators: want a list, got a table; head each validator with [[validators]] in TOML, with a - before its name in YAML",
		}},
		"no folder": {map[string]string{"stepagent.toml": "port = 1\n", "conf.d": ""}, []string{
			"conf.d: is no folder; it is where snippets of the config belong",
		}},
		"a folder": {map[string]string{"stepagent.toml": "port = 1\n", "conf.d/1.toml/x": ""}, []string{
			"conf.d/1.toml: is not a regular file; give the path of a config file",
		}},
		"no file": {map[string]string{"conf.d/1.toml": "port = 1\n"}, []string{"stepagent.toml: there is no such file"}},
	} {
		dir := tree(t, test.files)
		got := refused(t, config.Sources{File: filepath.Join(dir, "stepagent.toml")})
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTooManySnippets(t *testing.T) {
	t.Parallel()
	files := map[string]string{"stepagent.toml": "port = 1\n"}
	for i := range config.MaxSnippets + 1 {
		files["conf.d/"+strings.Repeat("x", i+1)+".toml"] = "port = 2\n"
	}
	dir := tree(t, files)
	got := refused(t, config.Sources{File: filepath.Join(dir, "stepagent.toml")})
	if diff := cmp.Diff([]string{"conf.d: 65 snippets are too many; keep to 64"}, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// TestSnippetsAreOneDocument: a file and a snippet mean what one file means that has the keys
// of both, those of the snippet where both have one; when one of the two is wrong for itself,
// so are both together.
func TestSnippetsAreOneDocument(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"conf.d/x": ""})
	marshal := map[string]func(any) ([]byte, error){".toml": toml.Marshal, ".yaml": yaml.Marshal}
	same := 0
	rapid.Check(t, func(t *rapid.T) {
		put := func(name string, doc map[string]any) string {
			extension := rapid.SampledFrom([]string{".toml", ".yaml"}).Draw(t, name)
			data, err := marshal[extension](doc)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, name+extension)
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			return file
		}
		file, snippet := document(t), document(t)
		// TestValidatorsOfSnippets, TestRowsOfSnippets
		delete(snippet, "validators")
		delete(snippet, "listeners")
		delete(snippet, "tls")
		one := maps.Clone(file)
		for key, value := range snippet {
			one[key] = laid(one[key], value)
		}
		main, x := put("stepagent", file), put("conf.d/x", snippet)
		defer func() { _ = os.Remove(x) }()
		both, err := config.Load(config.Sources{File: main})
		_, wrong := config.Load(config.Sources{File: x})
		whole, wrongWhole := config.Load(config.Sources{File: put("whole", one)})
		switch {
		case err == nil && wrongWhole == nil:
			same++
			if diff := cmp.Diff(whole.Config, both.Config); diff != "" {
				t.Fatalf("config (-one file +two):\n%s", diff)
			}
		case err == nil:
			t.Fatalf("two files are let through, and one is not: %v", wrongWhole)
		case wrong == nil && wrongWhole == nil:
			_ = os.Remove(x)
			if _, wrong := config.Load(config.Sources{File: main}); wrong == nil {
				t.Fatalf("each file is sound for itself, and both are not: %v", err)
			}
		}
	})
	if same == 0 && !testing.Short() { // the few rounds of a short test may hold none
		t.Error("no two files were sound, so that nothing was compared")
	}
}

// laid returns a value of document as it is when another file has it too.
func laid(below, above any) any {
	switch above := above.(type) {
	case map[string]any:
		if below, ok := below.(map[string]any); ok {
			below = maps.Clone(below)
			maps.Copy(below, above)
			return below
		}
	case map[string]int:
		if below, ok := below.(map[string]int); ok {
			below = maps.Clone(below)
			maps.Copy(below, above)
			return below
		}
	}
	return above
}
