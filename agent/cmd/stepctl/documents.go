package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/client/report/html"
	"github.com/stepagent/stepagent/agent/internal/client/report/junit"
	"github.com/stepagent/stepagent/agent/internal/client/report/tap"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/outfile"
)

// documents are the report files of run and report. Both commands make them from the record alone,
// so the files are the same.
type documents struct {
	all  []document
	lang html.Language
}

// A document is one file.
type document struct {
	flag  string
	path  string // empty for none
	usage string
	write func(io.Writer, record.Run, *report.Split) error
	// writeAll writes the document of the runs against several boards.
	writeAll func(io.Writer, iter.Seq[report.Board]) error
}

func (d *documents) register(cmd *cobra.Command) {
	page := func(w io.Writer, run record.Run, split *report.Split) error {
		return html.Write(w, run, split, d.lang)
	}
	without := func(write func(io.Writer, record.Run) error) func(io.Writer, record.Run, *report.Split) error {
		return func(w io.Writer, run record.Run, _ *report.Split) error { return write(w, run) }
	}
	pages := func(w io.Writer, boards iter.Seq[report.Board]) error {
		return html.WriteAll(w, boards, d.lang, d.pageLink)
	}
	d.all = []document{
		{flag: "html", usage: "write a report as one HTML page to `FILE`", write: page, writeAll: pages},
		{flag: "junit", usage: "write a report as JUnit XML to `FILE`, for CI servers", write: without(junit.Write), writeAll: junit.WriteAll},
		{flag: "tap", usage: "write a report as TAP 14 to `FILE`, for test harnesses", write: without(tap.Write), writeAll: tap.WriteAll},
		{flag: "summary", usage: "write a summary as one JSON object to `FILE`, for programs", write: report.Summary, writeAll: report.SummaryAll},
	}
	for i := range d.all {
		cmd.Flags().StringVar(&d.all[i].path, d.all[i].flag, "", d.all[i].usage)
	}
	config.ClientFlags().Add(cmd.Flags(), "lang")
	completeFlag(cmd, "lang", html.Languages())
}

// requested returns the documents whose flags are set.
func (d *documents) requested() []document {
	return slices.DeleteFunc(slices.Clone(d.all), func(doc document) bool { return doc.path == "" })
}

// A namedFile is a file with its flag or description.
type namedFile struct{ name, path string }

// databaseFile returns a database as a file that no other may replace.
func databaseFile(place string) namedFile {
	if config.IsPostgres(place) {
		return namedFile{}
	}
	return namedFile{"the database", place}
}

// prepare checks that the documents can be written, before anything is sent, and that no two files
// are the same, among the documents and the others.
func (d *documents) prepare(others ...namedFile) error {
	used := map[string]string{} // name by real path
	for _, doc := range d.requested() {
		others = append(others, namedFile{"--" + doc.flag, doc.path})
	}
	for _, file := range others {
		at, _, err := outfile.Resolve(file.path)
		if file.path == "" || err != nil || isDevice(file.path) {
			continue // opening it will fail with a better error
		}
		if other, ok := used[at]; ok {
			return fmt.Errorf("%s and %s are the same file, %s; name two", file.name, other, file.path)
		}
		used[at] = file.name
	}
	for _, doc := range d.requested() {
		if err := outfile.Probe(doc.path); err != nil {
			return &exitError{exitEvidence, cannotWrite(doc, err)}
		}
	}
	return nil
}

// spare refuses documents that would replace a step file, which is known by its SHA-256 in hexadecimal.
func (d *documents) spare(procedure string) error {
	for _, doc := range d.requested() {
		if hasSHA256(doc.path, procedure) {
			return fmt.Errorf("--%s would replace the step file %s; name another file", doc.flag, doc.path)
		}
	}
	return nil
}

// write writes the documents of a run.
func (d *documents) write(run record.Run, split *report.Split) error {
	return d.replace(func(doc document, w io.Writer) error { return doc.write(w, run, split) })
}

// replace writes all documents by a function. A failure of one does not keep the others from being
// written.
func (d *documents) replace(write func(document, io.Writer) error) error {
	var errs []error
	for _, doc := range d.requested() {
		if err := outfile.Replace(doc.path, func(w io.Writer) error { return write(doc, w) }); err != nil {
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

// hasSHA256 reports whether the path is a regular file whose content has the hash.
func hasSHA256(path, hash string) bool {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return false
	}
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }() // it was only read
	sum := sha256.New()
	_, err = io.Copy(sum, file)
	return err == nil && hex.EncodeToString(sum.Sum(nil)) == hash
}

// isDevice reports whether the path is a device or a pipe, such as /dev/stdout.
func isDevice(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}
