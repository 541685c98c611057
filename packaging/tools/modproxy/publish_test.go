package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"
)

const goMod = "module example.org/m\n\ngo 1.26.0\n"

func TestPublish(t *testing.T) {
	from := folder(t, map[string]string{
		"go.mod": goMod, "LICENSE": "none", "a/a.go": "package a\n",
		"pcap/go.mod": "module example.org/m/pcap\n", "pcap/a.pcapng": "a capture",
	})
	dir := t.TempDir()
	p, err := publish(from, "v1.2.3", dir, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if p.files != 3 || p.module.Path != "example.org/m" {
		t.Errorf("published %+v, want 3 files of example.org/m", p)
	}
	for name, want := range map[string]string{
		"list": "v1.2.3\n", "v1.2.3.mod": goMod, "v1.2.3.info": `{"Time":"1970-01-01T00:00:00Z","Version":"v1.2.3"}`,
	} {
		got, err := os.ReadFile(filepath.Join(dir, "example.org/m/@v", name))
		if err != nil || string(got) != want {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
	}
}

// What would break "go install ...@latest" for everybody.
func TestPublish_Refuses(t *testing.T) {
	tests := []struct {
		name    string
		files   map[string]string
		version string
		want    string
	}{
		{"a colon in a name", map[string]string{"go.mod": goMod, "runs/10:30.json": ""}, "v1.0.0", "malformed file path"},
		{"names that differ in case", map[string]string{"go.mod": goMod, "a.go": "", "A.go": ""}, "v1.0.0", "case-insensitive"},
		{"a replace line", map[string]string{"go.mod": goMod + "replace example.org/x => ../x\n"}, "v1.0.0", "replace or exclude"},
		{"a capture", map[string]string{"go.mod": goMod, "a/testdata/a.PCAP": ""}, "v1.0.0", "keep it in pcap/"},
		{"a large file", map[string]string{"go.mod": goMod, "noise": noise(maxArchiveBytes + 1)}, "v1.0.0", "the archive has"},
		{"a go.mod that is none", map[string]string{"go.mod": "package m\n"}, "v1.0.0", "unknown directive: package"},
		{"a version that is none", map[string]string{"go.mod": goMod}, "1.0", "not a semantic version"},
		{"a version of another module", map[string]string{"go.mod": goMod}, "v2.0.0", "should be v0 or v1"},
	}
	for _, test := range tests {
		_, err := publish(folder(t, test.files), test.version, t.TempDir(), time.Now())
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q in it", test.name, err, test.want)
		}
	}
}

func TestRun_Usage(t *testing.T) {
	for _, args := range [][]string{nil, {"-version", "v1.0.0"}, {"dir"}, {"-what"}} {
		if err := run(args, &strings.Builder{}); err == nil {
			t.Errorf("%q passed", args)
		}
	}
}

// folder is a module that consists of the files. The module tools have the same rules for a
// folder as for a revision.
func folder(t *testing.T, files map[string]string) source {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return source{[]byte(files["go.mod"]), func(to io.Writer, m module.Version) error {
		return modzip.CreateFromDir(to, m, dir)
	}}
}

// noise is text of n bytes that does not get smaller in an archive.
func noise(n int) string {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return string(b)
}
