package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// loadText loads a config from text.
func loadText(t *testing.T, text string) *Loaded {
	t.Helper()
	c := &content{file: "/x/stepagent.toml", data: []byte(text), read: parseTOML, folder: "/x"}
	l, err := load(Sources{}, []*content{c}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// secretFiles writes files that no other user may read, and returns their folder.
func secretFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// variables are an environment.
func variables(name string) (string, bool) {
	text, ok := map[string]string{"RIG": "rig-7", "EMPTY": "", "QUOTE": "\"<\n", "LATIN": "b\xfcro"}[name]
	return text, ok
}

// TestResolveSettings: references are replaced in strings of any depth, and nowhere else.
func TestResolveSettings(t *testing.T) {
	t.Parallel()
	dir := secretFiles(t, map[string]string{"token": "s3cret-token\n", "crlf": "one\r\ntwo\r\n", "reference": "${env:RIG}\n"})
	l := loadText(t, strings.ReplaceAll(`
[[validators]]
name = "sequence"
settings = { first = 1 }
[[validators]]
name = "torque"
path = "/opt/torque"
args = ["${env:RIG}"]
[validators.settings]
token = "${file:DIR/token}"
url = "https://${env:RIG}:${file:DIR/token}@host/$${x}?a=$b"
list = ["${env:RIG}", 9007199254740993, { deep = "${file:DIR/crlf}", "${env:RIG}" = true }]
twice = "${file:DIR/reference}"
quote = "${env:QUOTE}"
plain = "$x {y} $ { $"
`, "DIR", dir))
	got, _, err := l.resolveSettings(variables)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"list":["rig-7",9007199254740993,{"${env:RIG}":true,"deep":"one\r\ntwo"}],"plain":"$x {y} $ { $",` +
		`"quote":"\"<\n","token":"s3cret-token","twice":"${env:RIG}","url":"https://rig-7:s3cret-token@host/${x}?a=$b"}`
	if diff := cmp.Diff(want, string(got[1].Settings)); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"${env:RIG}"}, got[1].Args); diff != "" { // which every user can see
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	if string(got[0].Settings) != `{"first":1}` {
		t.Errorf("settings without references: %s", got[0].Settings)
	}
	if text := string(l.Validators[1].Settings); strings.Contains(text, "s3cret") || strings.Contains(text, "rig-7") {
		t.Errorf("the config itself has them resolved: %s", text)
	}
	files := []NamedFile{
		{"validators[1].settings.list[2].deep", filepath.Join(dir, "crlf"), true},
		{"validators[1].settings.token", filepath.Join(dir, "token"), true},
		{"validators[1].settings.twice", filepath.Join(dir, "reference"), true},
		{"validators[1].settings.url", filepath.Join(dir, "token"), true},
	}
	if diff := cmp.Diff(files, l.NamedFiles()); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	watched := []string{"/x/stepagent.toml", "/x/conf.d", "/opt/torque", files[0].Path, files[1].Path, files[2].Path}
	if diff := cmp.Diff(watched, l.Watched()); diff != "" {
		t.Errorf("watched (-want +got):\n%s", diff)
	}
	// At the next start they are read again.
	if err := os.WriteFile(files[1].Path, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, _, err = l.resolveSettings(variables); err != nil || !strings.Contains(string(got[1].Settings), `"token":"another"`) {
		t.Errorf("after a change: %s, %v", got[1].Settings, err)
	}
}

// TestBadReferences: each has a sentence and its place.
func TestBadReferences(t *testing.T) {
	t.Parallel()
	dir := secretFiles(t, map[string]string{"empty": "\n", "latin": "b\xfcro", "open": "x", "writable": "x",
		"large": strings.Repeat("x", MaxReferenceBytes+1), "most": strings.Repeat("x", MaxReferenceBytes)})
	for name, mode := range map[string]os.FileMode{"open": 0o644, "writable": 0o622} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for reference, want := range map[string]string{
		"${file:DIR/none}":     "there is no file DIR/none; write the text into it, or correct the path",
		"${file:DIR/empty}":    "DIR/empty is empty; write the text into it, or take the reference out",
		"${file:DIR/latin}":    "what DIR/latin holds is not UTF-8, and settings hold text alone",
		"${file:DIR/open}":     "DIR/open is not taken: every user can read DIR/open (mode 0644); chmod o-r DIR/open",
		"${file:DIR/writable}": "DIR/writable is not taken: others than the owner can write to DIR/writable; chmod go-w DIR/writable",
		"${file:DIR/large}":    "DIR/large is larger than 65536 bytes",
		"${file:DIR}":          "DIR is not taken: every user can read DIR (mode 0755); chmod o-r DIR",
		"${file:token}":        `"token" is not an absolute path; write one such as "/etc/stepagent/token"`,
		"${file:}":             `"" is not an absolute path; write one such as "/etc/stepagent/token"`,
		"a ${env:NONE}":        "the agent's environment has no variable NONE, or an empty one; set it, or write the text of a file with ${file:/PATH}",
		"${env:EMPTY}":         "the agent's environment has no variable EMPTY, or an empty one; set it, or write the text of a file with ${file:/PATH}",
		"${env:LATIN}":         "what LATIN holds is not UTF-8, and settings hold text alone",
		"${env:A B}":           `"A B" is no name of a variable; write a reference such as ${env:TORQUE_TOKEN}`,
		"${env:}":              `"" is no name of a variable; write a reference such as ${env:TORQUE_TOKEN}`,
		"${evn:RIG}":           `"${evn:RIG}" is no reference; did you mean env?; write ${file:/PATH}, ${env:NAME}, or $${ for ${ itself`,
		"${RIG}":               `"${RIG}" is no reference; write ${file:/PATH}, ${env:NAME}, or $${ for ${ itself`,
		"${env:RIG":            "a reference that begins with ${ has no } at its end; write $${ for ${ itself",
		"${env:RIG} ${":        "a reference that begins with ${ has no } at its end; write $${ for ${ itself",
		strings.Repeat("${file:DIR/most}", 16): "with their references the settings of this validator are larger than 1048576 bytes; " +
			"refer to smaller files, or let the program read them",
	} {
		l := loadText(t, "[[validators]]\nname = \"sequence\"\nsettings.a = [\"\", \""+strings.ReplaceAll(reference, "DIR", dir)+"\"]\n")
		_, _, err := l.resolveSettings(variables)
		got := "nothing"
		if err != nil {
			got = strings.ReplaceAll(err.Error(), dir, "DIR")
		}
		if want := "/x/stepagent.toml:3:19: validators[0].settings.a[1]: " + want; got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", reference, got, want)
		}
	}
}

// TestCheckNamedFiles: what others may change is refused, and a key that all can read, each by its key.
func TestCheckNamedFiles(t *testing.T) {
	t.Parallel()
	dir := secretFiles(t, map[string]string{"agent.pem": "", "agent.key": "", "clients.pem": "", "clients.crl": "", "token": ""})
	l := loadText(t, strings.ReplaceAll(`
[tls]
certificate = "DIR/agent.pem"
key = "DIR/agent.key"
client_ca = "DIR/clients.pem"
crl = "DIR/clients.crl"
[[validators]]
name = "torque"
path = "/opt/torque"
settings = { token = "${file:DIR/token}", other = "${file:relative} ${file:DIR/none}" }
`, "DIR", dir))
	if err := l.CheckNamedFiles(); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"agent.pem": 0o646, "agent.key": 0o644, "clients.pem": 0o644, "clients.crl": 0o666, "token": 0o604} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	want := `/x/stepagent.toml:3:1: tls.certificate: DIR/agent.pem is not taken: others than the owner can write to DIR/agent.pem; chmod go-w DIR/agent.pem
/x/stepagent.toml:4:1: tls.key: DIR/agent.key is not taken: every user can read DIR/agent.key (mode 0644); chmod o-r DIR/agent.key
/x/stepagent.toml:6:1: tls.crl: DIR/clients.crl is not taken: others than the owner can write to DIR/clients.crl; chmod go-w DIR/clients.crl
/x/stepagent.toml:10:14: validators[0].settings.token: DIR/token is not taken: every user can read DIR/token (mode 0604); chmod o-r DIR/token`
	err := l.CheckNamedFiles()
	if err == nil {
		t.Fatal("what others may change is taken")
	}
	if diff := cmp.Diff(want, strings.ReplaceAll(err.Error(), dir, "DIR")); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// TestHide: a secret is hidden as a whole, and a long one also in part.
func TestHide(t *testing.T) {
	t.Parallel()
	const long = "the secret of the bench, with more than one line\nand a second one"
	s := newSecrets([]string{"abc", "swordfish", "fish", long, "0123456789abcdef"})
	for text, want := range map[string]string{
		"":                                   "",
		"nothing of them":                    "nothing of them",
		"abc is too short for one":           "abc is too short for one",
		"a swordfish, a fish":                "a (left out), a (left out)",
		"swordfishfish fis":                  "(left out) fis",
		"0123456789abcde":                    "0123456789abcde",
		"x0123456789abcdefx":                 "x(left out)x",
		"<" + long + ">":                     "<(left out)>",
		"got \"" + long[:30] + "...\"":       "got \"(left out)...\"",
		strings.ReplaceAll(long, "\n", `\n`): `(left out)\n(left out)`,
		"the secret of":                      "the secret of",
		"ü" + long[4:24] + "ü" + long[20:40] + " and ü": "ü(left out)ü(left out) and ü",
	} {
		if got := s.Hide(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	if newSecrets(nil) != nil || newSecrets([]string{"abc"}) != nil {
		t.Error("there are secrets of no texts")
	}
	if got := newSecrets(nil).Hide("a swordfish"); got != "a swordfish" {
		t.Errorf("without secrets: %q", got)
	}
}
