package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const client = "github.com/stepagent/stepagent/agent/cmd/stepctl"

// What the client links on Windows alone stands in the file for Windows alone.
func TestRun(t *testing.T) {
	tests := []struct {
		targets       string
		wanted, other string
	}{
		{"linux/arm,linux/amd64", "Files: github.com/spf13/cobra@", "Files: github.com/inconshreveable/mousetrap@"},
		{"linux/arm,windows/amd64", "Files: github.com/inconshreveable/mousetrap@", "Files: github.com/stepagent/stepagent@"},
	}
	for _, test := range tests {
		var out strings.Builder
		if err := run([]string{"-common-licenses", "-targets", test.targets, client}, &out); err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{test.wanted, "Files: std@go", "Files: *\n", "\n /usr/share/common-licenses/Apache-2.0."} {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%s: lacks %q", test.targets, part)
			}
		}
		if strings.Contains(out.String(), test.other) {
			t.Errorf("%s: has %q", test.targets, test.other)
		}
	}
}

func TestRun_FullText(t *testing.T) {
	var out strings.Builder
	if err := run([]string{client}, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION") {
		t.Error("the text of Apache-2.0 is not there")
	}
}

func TestRun_Usage(t *testing.T) {
	for _, args := range [][]string{nil, {"a", "b"}, {"-targets", "linux", client}, {client + "/nothing"}} {
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
