package pluginhost

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/program"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

// sumOf returns the checksum of a file as a config has it.
func sumOf(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(b))
}

// shellCopy returns a copy of the shell, a program of few pages, and the arguments with which it becomes the
// plugin.
func shellCopy(t testing.TB) (path string, args []string) {
	t.Helper()
	b, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "plugin")
	writeProgram(t, path, b)
	return path, []string{"-c", "exec " + self(t) + " plugin good"}
}

// scriptFile returns a file with a script that is the plugin.
func scriptFile(t testing.TB, word string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plugin")
	script(t, path, word)
	return path
}

func TestP07AnotherChecksumIsRefused(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	path := scriptFile(t, "one")
	spec := Spec{Name: "a", Validator: "echo", Path: path, Checksum: sumOf(t, path)}
	set := startSet(t, h, spec)
	passes(t, set.Groups()[0], 1)
	if got, at := set.Checksums()[0], set.Status()[0].Path; got != spec.Checksum || at != path {
		t.Errorf("the checksum of %s is %s, want %s", at, got, spec.Checksum)
	}
	have := spec.Checksum
	spec.Checksum = "sha256:" + strings.Repeat("0", 64)
	_, err := h.Start(t.Context(), []Spec{spec})
	want := SpecError{Index: 0, Key: "checksum", Problem: fmt.Sprintf("the checksum of %s is %s, and the config expects %s; "+
		"install the program that was meant, or correct the checksum", path, have, spec.Checksum)}
	if got := specErrors(t, err); len(got) != 1 || got[0] != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// The file is written over and renamed away as fast as can be while plugins are started from
// it: a start fails, or runs the very bytes that were asked for.
func TestP07SwappedBetweenCheckAndExec(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	dir := t.TempDir()
	path, other := filepath.Join(dir, "plugin"), filepath.Join(dir, "other")
	sound := fmt.Appendf(nil, "#!/bin/sh\nexec %s plugin good\n", self(t))
	evil := fmt.Appendf(nil, "#!/bin/sh\n>%s/evil; exec %s plugin good\n", dir, self(t))
	writeProgram(t, path, sound)
	sum := sumOf(t, path)
	stop := make(chan struct{})
	var swapping sync.WaitGroup
	swapping.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			content := [][]byte{evil, sound}[n%2]
			if n%4 < 2 { // in place, which a file that is held open sees
				_ = os.WriteFile(path, content, 0o755) // busy for a moment is as good
			} else if os.WriteFile(other, content, 0o755) == nil {
				_ = os.Rename(other, path)
			}
		}
	})
	started, refused, each := 0, 0, soaktest.Repetitions(t, 1000, 4)
	for started < each || refused < each {
		set, err := h.Start(t.Context(), []Spec{{Name: "a", Validator: "echo", Path: path, Checksum: sum}})
		if err != nil {
			refused++
			for _, e := range specErrors(t, err) {
				if e.Key != "checksum" && e.Key != "path" {
					t.Errorf("got %+v", e)
				}
			}
			continue
		}
		started++
		passes(t, set.Groups()[0], 1)
		set.Close(t.Context())
	}
	close(stop)
	swapping.Wait()
	if _, err := os.Stat(filepath.Join(dir, "evil")); err == nil {
		t.Error("a program with another checksum was executed")
	}
}

// What replaces a crashed process is the program that was checked, whatever has become of
// its file since.
func TestP07RestartsRunTheCheckedProgram(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, atOnce)
	path, args := shellCopy(t)
	set := startSet(t, h, Spec{Name: "a", Validator: "crash", Settings: []byte(`{"step":3}`), Path: path,
		Args: args, Checksum: sumOf(t, path)})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	within(t, patience, set.Groups()[0], 3)
	passes(t, set.Groups()[0], 1)
	if st := set.Status()[0]; st.Restarts != 2 {
		t.Errorf("status = %+v", st)
	}
}

// Without a checksum in the config the status shows that of the file, for people to compare.
func TestP07TheChecksumIsShown(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	h.checksums = &program.Checksums{}
	path := scriptFile(t, "one")
	set := startSet(t, h, Spec{Name: "a", Validator: "echo"}, Spec{Name: "b", Validator: "echo", Path: path})
	for i, path := range []string{self(t), path} {
		eventually(t, "the checksum is known", func() bool { return set.Checksums()[i] != "" })
		if got, want := set.Checksums()[i], sumOf(t, path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}
