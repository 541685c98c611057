package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	root     = "../../../"
	captures = root + "pcap"
)

// buildStepctl copies the program that go run keeps in the build cache; go build would link it again.
func buildStepctl(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	build := exec.Command("go", "run", "-exec", "cp -t "+folder, "./agent/cmd/stepctl")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(folder, "stepctl")
}

// TestPages: the pages say what stepctl says of the captures today, and nothing is written
// when a capture does not show what it claims.
func TestPages(t *testing.T) {
	stepctl := buildStepctl(t)
	out := t.TempDir()
	var errs bytes.Buffer
	if code := run([]string{"-stepctl", stepctl, "-pcap", captures, "-out", out}, &errs); code != 0 {
		t.Fatalf("exit code %d: %s", code, &errs)
	}
	for page := range pages {
		made, err := os.ReadFile(filepath.Join(out, page))
		if err != nil {
			t.Fatal(err)
		}
		kept, err := os.ReadFile(filepath.Join(root, "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(made, kept) {
			t.Errorf("docs/%s is not what the captures say; go run ./packaging/tools/testreport", page)
		}
	}

	tampered, empty := t.TempDir(), t.TempDir()
	if err := os.CopyFS(tampered, os.DirFS(captures)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(tampered, "timeout.pcapng")
	capture, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(capture, []byte(`"step_id":4,"timeout":5,`), []byte(`"step_id":4,"timeout":1,`), 1)
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	errs.Reset()
	if code := run([]string{"-stepctl", stepctl, "-pcap", tampered, "-out", empty}, &errs); code != 1 ||
		!strings.Contains(errs.String(), "timeout.pcapng") {
		t.Errorf("a capture that was changed: exit code %d: %s", code, &errs)
	}
	if left, err := os.ReadDir(empty); err != nil || len(left) > 0 {
		t.Errorf("%d pages were written all the same (%v)", len(left), err)
	}
}

// TestSums: SHA256SUMS names all evidence, with the right sums.
func TestSums(t *testing.T) {
	sums, err := os.ReadFile(filepath.Join(captures, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	err = filepath.WalkDir(captures, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || slices.Contains([]string{"SHA256SUMS", "README.md", "take.sh", "go.mod"}, entry.Name()) {
			return err
		}
		name, err := filepath.Rel(captures, path)
		if err != nil {
			return err
		}
		file, err := os.ReadFile(path)
		want = append(want, fmt.Sprintf("%x  %s", sha256.Sum256(file), filepath.ToSlash(name)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(string(sums)), "\n")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("SHA256SUMS has\n%s\nand the folder\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSeconds(t *testing.T) {
	value := 0.25
	for want, of := range map[string]any{"0 s": 0.0, "0.34 ms": 0.00034, "5.801 s": 5.8012, "7.7 s": 7.7, "-": (*float64)(nil), "0.25 s": &value} {
		if got := seconds(of); got != want {
			t.Errorf("%v: %q, want %q", of, got, want)
		}
	}
}
