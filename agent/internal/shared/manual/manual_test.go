package manual_test

import (
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/shared/manual"
)

var edition = manual.Edition{Version: "1.2.3", Date: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}

func newProgram() *cobra.Command {
	run := func(*cobra.Command, []string) {}
	root := &cobra.Command{Use: "weigh", Short: "weigh things"}
	apples := &cobra.Command{Use: "apples FILE", Short: "weigh apples", Long: "apples weighs the apples of FILE.", Run: run}
	apples.Flags().String("unit", "kg", "the `UNIT` of the result")
	secret := &cobra.Command{Use: "secret", Hidden: true, Run: run}
	root.AddCommand(apples, secret)
	return root
}

func TestWrite(t *testing.T) {
	got := write(t)
	want := []string{
		"completions/bash/weigh", "completions/fish/weigh.fish", "completions/zsh/_weigh",
		"man1/weigh-apples.1", "man1/weigh-completion-bash.1", "man1/weigh-completion-fish.1",
		"man1/weigh-completion-powershell.1", "man1/weigh-completion-zsh.1", "man1/weigh-completion.1", "man1/weigh.1",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	page := got["man1/weigh-apples.1"]
	for _, part := range []string{
		`.TH "WEIGH-APPLES" "1" "Nov 2026" "stepagent 1.2.3" "stepagent manual"`,
		"apples weighs the apples of FILE.", "--unit",
	} {
		if !strings.Contains(page, part) {
			t.Errorf("the page of apples lacks %q:\n%s", part, page)
		}
	}
}

// A page must not tell when it was written, or no two builds of a package are the same.
func TestWriteIsReproducible(t *testing.T) {
	if diff := cmp.Diff(write(t), write(t)); diff != "" {
		t.Errorf("two editions differ:\n%s", diff)
	}
}

func TestMain_Usage(t *testing.T) {
	for _, args := range [][]string{nil, {t.TempDir()}, {t.TempDir(), "1.2.3", "yesterday"}} {
		if code := manual.Main(newProgram(), args); code != 1 {
			t.Errorf("Main(%q) is %d, want 1", args, code)
		}
	}
}

// write returns the files of a program's manual.
func write(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	args := []string{dir, edition.Version, edition.Date.Format(time.RFC3339)}
	if code := manual.Main(newProgram(), args); code != 0 {
		t.Fatalf("Main is %d", code)
	}
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(os.DirFS(dir), path)
		files[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
