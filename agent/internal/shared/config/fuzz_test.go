package config

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"
)

// fuzz loads any bytes.
func fuzz(f *testing.F, read parser, extension string) {
	archive, err := txtar.ParseFile("testdata/problems.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		if strings.HasSuffix(file.Name, extension) {
			f.Add(file.Data)
		}
	}
	for _, file := range []string{"testdata/first", "../../../../configs/stepagent"} {
		data, err := readFile(file+extension, configFile(), false)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		loadAny(t, &content{file: "fuzz" + extension, data: data, read: read, folder: "/folder"})
	})
}

// loadAny loads any files: they give a valid Config, or Problems that point into them.
func loadAny(t *testing.T, files ...*content) {
	l, err := load(Sources{}, files, nil)
	if err == nil {
		if err := l.Validate(); err != nil {
			t.Fatalf("loaded what is not valid: %v", err)
		}
		return
	}
	var problems Problems
	if !errors.As(err, &problems) || len(problems) == 0 {
		t.Fatalf("the error is %T: %v", err, err)
	}
	lines := map[string][]string{}
	for _, c := range files {
		lines[c.file] = strings.Split(strings.TrimPrefix(string(c.data), "\ufeff"), "\n")
	}
	for _, p := range problems {
		if p.Message == "" || !printable(p.Error()) {
			t.Errorf("cannot be printed: %q", p.Error())
		}
		lines := lines[p.File]
		switch {
		case p.Line == 0 && p.Column == 0:
		case p.Line < 1 || p.Line > len(lines):
			t.Errorf("%q: there are %d lines", p.Error(), len(lines))
		case p.Column < 0 || p.Column > utf8.RuneCountInString(lines[p.Line-1])+1:
			t.Errorf("%q: line %d is %q", p.Error(), p.Line, lines[p.Line-1])
		}
	}
}

func FuzzLoadTOML(f *testing.F) { fuzz(f, parseTOML, ".toml") }

func FuzzLoadYAML(f *testing.F) { fuzz(f, parseYAML, ".yaml") }

// FuzzLoadSnippet lays any bytes over any others, from the formats in turn.
func FuzzLoadSnippet(f *testing.F) {
	const file, snippet = "port = 1\n[[validators]]\nname = \"pacing\"\n[error_codes]\nbusy = 2\n", "port: 2\n" +
		"validators: [{name: pacing, path: x, settings: {a: 1}}, 5, {as: y}]\nerror_codes: {busy: x}\nlog: {level: info}\n"
	f.Add([]byte(file), []byte(snippet))
	f.Add([]byte("tls.clients = [{match = 'a'}]\nlisteners = 1\n"), []byte("tls: {clients: [{match: a, sessions: [b]}, 5]}\nlisteners: [{address: x}]"))
	f.Add([]byte("validators = 1\nlog = 2\n"), []byte(snippet))
	f.Add([]byte(""), []byte("validators: []"))
	f.Fuzz(func(t *testing.T, file, snippet []byte) {
		toml, yaml := &content{file: "stepagent.toml", data: file, read: parseTOML, folder: "/folder"},
			&content{file: "conf.d/x.yaml", data: snippet, read: parseYAML, folder: "/folder/conf.d"}
		loadAny(t, toml, yaml)
		loadAny(t, yaml, toml)
	})
}

// FuzzExpand: each reference that is asked for stands in the text, a text without any is itself, and a
// text whose ${ are escaped expands to the text.
func FuzzExpand(f *testing.F) {
	for _, text := range []string{"", "a", "${x}", "a${x}b$${c}d", "$${", "$$${x}", "${", "${x", "}", "${${x}}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := expand(text, func(reference string) (string, error) {
			if !strings.Contains(text, "${"+reference+"}") {
				t.Errorf("%q has no reference %q", text, reference)
			}
			return reference, nil
		})
		if !strings.Contains(text, "${") && (err != nil || got != text) {
			t.Errorf("%q became %q, %v", text, got, err)
		}
		if err != nil && strings.Contains(text[strings.LastIndex(text, "${"):], "}") {
			t.Errorf("%q is refused: %v", text, err)
		}
		escaped := strings.ReplaceAll(text, "${", "$${")
		if got, err := expand(escaped, nil); err != nil || got != text {
			t.Errorf("%q became %q, %v", escaped, got, err)
		}
	})
}
