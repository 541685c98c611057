package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// linker is a package that links cobra, and little else.
const linker = "github.com/stepagent/stepagent/agent/internal/shared/cli"

// What the package links on Windows alone stands in the file for Windows alone. Texts of licences that
// Debian has are in the file if it must not refer to them.
func TestRun(t *testing.T) {
	const cobra, mousetrap = "Files: github.com/spf13/cobra@", "Files: github.com/inconshreveable/mousetrap@"
	const reference = "\n /usr/share/common-licenses/Apache-2.0."
	const text = "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION"
	for _, test := range []struct{ args, wanted, others []string }{
		{[]string{"-common-licenses", "-targets", "linux/arm"}, []string{cobra, reference}, []string{mousetrap, text}},
		{[]string{"-targets", "linux/arm,windows/amd64"}, []string{cobra, mousetrap, text}, []string{reference}},
	} {
		var out strings.Builder
		if err := run(append(test.args, linker), &out); err != nil {
			t.Fatal(err)
		}
		for _, part := range append(test.wanted, "Files: std@go", "Files: *\n") {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%q: lacks %q", test.args, part)
			}
		}
		for _, part := range append(test.others, "Files: github.com/stepagent/stepagent@") {
			if strings.Contains(out.String(), part) {
				t.Errorf("%q: has %q", test.args, part)
			}
		}
	}
}

func TestRun_Usage(t *testing.T) {
	for _, args := range [][]string{nil, {"a", "b"}, {"-targets", "linux", linker}, {linker + "/nothing"}} {
		if err := run(args, &strings.Builder{}); err == nil {
			t.Errorf("%q passed", args)
		}
	}
}

func TestHolders(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.go")
	text := `// Copyright (c) 2014 Ann Example <ann@example.org>. All rights reserved.
 * Copyright 2015 The Example Authors.
/* Copyright © 2016-2018 Example, Inc. */
   Copyright [yyyy] [name of copyright owner]
   Copyright notice: see above
// Copyright License. Subject to the terms
// 2019 is no notice
`
	if err := os.WriteFile(file, []byte(text+strings.Repeat("\n", headLines)+"// Copyright 2020 Too Late\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := holders([]string{file, file})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"2014 Ann Example <ann@example.org>", "2015 The Example Authors", "2016-2018 Example, Inc."}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A module whose licence is missing or strange stops the build of the packages.
func TestWork_Refuses(t *testing.T) {
	dir := t.TempDir()
	m := module{Path: "example.org/x", Dir: dir, files: []string{filepath.Join(dir, "x.go")}}
	if _, err := m.work(); err == nil || !strings.Contains(err.Error(), "no licence file") {
		t.Errorf("without a licence: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "LICENSE.txt"), []byte("Ask me first.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := m.work(); err == nil || !strings.Contains(err.Error(), "0 % of it is a known licence") {
		t.Errorf("with a strange one: %v", err)
	}
}

func TestField(t *testing.T) {
	if got, want := field("\n a\tb  \r\n\n\nc\n\n"), " a    b\n .\n .\n c\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestRefer: of a file with several licences, those that Debian has are replaced, and the rest stays.
func TestRefer(t *testing.T) {
	const apache, mit = "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION", "Permission is hereby granted, free of charge"
	modules, err := linked("github.com/stepagent/stepagent/agent/internal/shared/natsconn", "", []string{"linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, m := range modules {
		if m.Path != "github.com/klauspost/compress" {
			continue
		}
		found = true
		w, err := m.work()
		if err != nil {
			t.Fatal(err)
		}
		text := w.licences[0].text
		got := refer(text)
		if !strings.Contains(text, apache) || strings.Contains(got, apache) || !strings.Contains(got, mit) ||
			!strings.Contains(got, "/usr/share/common-licenses/Apache-2.0.)") || !strings.HasPrefix(text, got[:500]) {
			t.Errorf("got\n%s", got)
		}
	}
	if !found {
		t.Error("the module with several licences in a file is not linked")
	}
}
