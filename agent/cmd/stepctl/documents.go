package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/client/report/html"
	"github.com/stepagent/stepagent/agent/internal/client/report/junit"
	"github.com/stepagent/stepagent/agent/internal/client/report/tap"
	"github.com/stepagent/stepagent/agent/internal/shared/outfile"
)

// documents are the reports that are written to files: the same ones by run and by report,
// because both make them from the record and from nothing else.
type documents struct {
	html, junit, tap, summary string
	lang                      langFlag
}

func (d *documents) register(cmd *cobra.Command) {
	d.lang = langFlag(html.English)
	set := cmd.Flags()
	set.StringVar(&d.html, "html", "", "write a report for people to `FILE`, as one HTML page")
	set.Var(&d.lang, "lang", "the language of the HTML page: en or ko")
	set.StringVar(&d.junit, "junit", "", "write a report for CI servers to `FILE`, as JUnit XML")
	set.StringVar(&d.tap, "tap", "", "write a report for test harnesses to `FILE`, as TAP 14")
	set.StringVar(&d.summary, "summary", "", "write a report for programs to `FILE`, as one JSON object")
	// It fails for unknown flags only.
	_ = cmd.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions(html.Languages(), cobra.ShellCompDirectiveNoFileComp))
}

// A document is one file that was asked for.
type document struct {
	flag, path string
	write      func(io.Writer, record.Run, *report.Split) error
}

func (d *documents) asked() []document {
	page := func(w io.Writer, run record.Run, split *report.Split) error {
		return html.Write(w, run, split, html.Language(d.lang))
	}
	without := func(write func(io.Writer, record.Run) error) func(io.Writer, record.Run, *report.Split) error {
		return func(w io.Writer, run record.Run, _ *report.Split) error { return write(w, run) }
	}
	var asked []document
	for _, doc := range []document{
		{"html", d.html, page}, {"junit", d.junit, without(junit.Write)}, {"tap", d.tap, without(tap.Write)}, {"summary", d.summary, report.Summary},
	} {
		if doc.path != "" {
			asked = append(asked, doc)
		}
	}
	return asked
}

// A named is a file that has a name on the command line or in what the user is told.
type named struct{ flag, path string }

// prepare sees whether the documents could be written, so that nothing is sent in vain.
// others are files that no document may take the place of, nor one of them that of another.
func (d *documents) prepare(others ...named) error {
	taken := map[string]string{}
	for _, doc := range d.asked() {
		others = append(others, named{"--" + doc.flag, doc.path})
	}
	for _, file := range others {
		at, _, err := outfile.Resolve(file.path)
		if file.path == "" || err != nil || isDevice(file.path) {
			continue // what cannot be opened is told by its opener
		}
		if other, ok := taken[at]; ok {
			return fmt.Errorf("%s and %s are the same file, %s; name two", file.flag, other, file.path)
		}
		taken[at] = file.flag
	}
	for _, doc := range d.asked() {
		if err := outfile.Probe(doc.path); err != nil {
			return &exitError{exitEvidence, cannotWrite(doc, err)}
		}
	}
	return nil
}

// write writes all documents, as many as can be. The split is nil where the agent's record is
// not known.
func (d *documents) write(run record.Run, split *report.Split) error {
	var errs []error
	for _, doc := range d.asked() {
		if err := doc.save(run, split); err != nil {
			errs = append(errs, cannotWrite(doc, err))
		}
	}
	if len(errs) > 0 {
		return &exitError{exitEvidence, errors.Join(errs...)}
	}
	return nil
}

func cannotWrite(doc document, err error) error {
	return fmt.Errorf("cannot write the report --%s %s: %w", doc.flag, doc.path, err)
}

// save writes a document.
func (doc document) save(run record.Run, split *report.Split) error {
	return outfile.Replace(doc.path, func(w io.Writer) error { return doc.write(w, run, split) })
}

// isDevice reports whether the path is there and is no file, such as /dev/stdout or a pipe.
func isDevice(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

// A langFlag is a language of the HTML page.
type langFlag html.Language

func (l *langFlag) Set(text string) error {
	language, err := html.ParseLanguage(text)
	*l = langFlag(language)
	return err
}

func (l *langFlag) String() string { return string(*l) }
func (l *langFlag) Type() string   { return "LANGUAGE" }
