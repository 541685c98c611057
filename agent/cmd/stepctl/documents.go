package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/record"
	"github.com/stepagent/stepagent/agent/internal/report"
	"github.com/stepagent/stepagent/agent/internal/report/html"
	"github.com/stepagent/stepagent/agent/internal/report/junit"
	"github.com/stepagent/stepagent/agent/internal/report/tap"
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
		{"html", d.html, page}, {"junit", d.junit, without(junit.Write)}, {"tap", d.tap, without(tap.Write)}, {"summary", d.summary, report.JSON},
	} {
		if doc.path != "" {
			asked = append(asked, doc)
		}
	}
	return asked
}

// prepare sees whether the documents could be written, so that nothing is sent in vain.
// others are files by the names of their flags that no document may take the place of.
func (d *documents) prepare(others map[string]string) error {
	taken := map[string]string{}
	for flag, path := range others {
		if path != "" {
			taken[place(path)] = flag
		}
	}
	for _, doc := range d.asked() {
		at := place(doc.path)
		if other, ok := taken[at]; ok && !isDevice(doc.path) {
			return fmt.Errorf("--%s and %s are the same file, %s; name two", doc.flag, other, doc.path)
		}
		taken[at] = "--" + doc.flag
		info, err := os.Stat(at)
		switch {
		case isDevice(doc.path):
			continue
		case err == nil && info.IsDir():
			return &exitError{exitEvidence, cannotWrite(doc, errors.New("it is a folder; name a file"))}
		}
		probe, err := os.CreateTemp(filepath.Dir(at), ".stepctl-*")
		if err != nil {
			return &exitError{exitEvidence, cannotWrite(doc, err)}
		}
		_ = probe.Close() // it is empty
		if err := os.Remove(probe.Name()); err != nil {
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

// save writes a document. A file takes the place of an older one when it is whole, so that
// nobody ever finds half of one.
func (doc document) save(run record.Run, split *report.Split) (err error) {
	if isDevice(doc.path) {
		file, err := os.OpenFile(doc.path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(doc.write(file, run, split), file.Close())
	}
	at := place(doc.path)
	file, err := os.OpenFile(fmt.Sprintf("%s.%d.part", at, os.Getpid()), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	err = doc.write(file, run, split)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), at)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// isDevice reports whether the path is there and is no file, such as /dev/stdout or a pipe.
func isDevice(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

// place is where the path leads to, so that two names of one file are known as such.
func place(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	} else if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
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
