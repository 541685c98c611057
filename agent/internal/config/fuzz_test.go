package config

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"
)

// fuzz loads any bytes: they give a valid Config, or Problems that point into them.
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
	for _, file := range []string{"testdata/first", "../../../configs/stepagent"} {
		data, err := readFile(file + extension)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := load(Sources{File: "fuzz" + extension}, &content{data, read, "/folder"})
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
		lines := strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n")
		for _, p := range problems {
			if p.Message == "" || !printable(p.Error()) {
				t.Errorf("cannot be printed: %q", p.Error())
			}
			switch {
			case p.Line == 0 && p.Column == 0:
			case p.Line < 1 || p.Line > len(lines):
				t.Errorf("%q: there are %d lines", p.Error(), len(lines))
			case p.Column < 0 || p.Column > utf8.RuneCountInString(lines[p.Line-1])+1:
				t.Errorf("%q: line %d is %q", p.Error(), p.Line, lines[p.Line-1])
			}
		}
	})
}

func FuzzLoadTOML(f *testing.F) { fuzz(f, parseTOML, ".toml") }

func FuzzLoadYAML(f *testing.F) { fuzz(f, parseYAML, ".yaml") }
