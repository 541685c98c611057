package main

import (
	"bytes"
	"embed"
	"fmt"
	"text/template"
	"time"
)

//go:embed *.tmpl
var templates embed.FS

// pages are the templates of the pages, by their file names.
var pages = map[string]string{"test-report.md": "report.en.md.tmpl", "test-report.ko.md": "report.ko.md.tmpl"}

func render(name string, e Evidence) ([]byte, error) {
	parsed, err := template.New(name).Funcs(template.FuncMap{
		"seconds": seconds,
		"day":     func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
		"verdict": func(v string) string {
			return map[string]string{"pass": "합격", "fail": "불합격", "inconclusive": "판정 불가"}[v]
		},
	}).ParseFS(templates, name)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	err = parsed.Execute(&page, e)
	return page.Bytes(), err
}

// seconds writes a number of seconds, or a pointer to one that may be absent, in the unit that suits it.
func seconds(value any) string {
	s, ok := value.(float64)
	if p, _ := value.(*float64); p != nil {
		s, ok = *p, true
	}
	switch {
	case !ok:
		return "-"
	case s == 0:
		return "0 s"
	case s < 0.1:
		return fmt.Sprintf("%.2f ms", s*1000)
	default:
		return fmt.Sprintf("%.4g s", s)
	}
}
