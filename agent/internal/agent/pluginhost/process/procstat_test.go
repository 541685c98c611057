package process

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A number that another process has got since kills nothing.
func TestKillSparesAnotherWithTheSameNumber(t *testing.T) {
	sleeper := sleeper(os.Getpid())
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	s, ok := readProcStat(sleeper.Process.Pid)
	if !ok {
		t.Fatal("it is not there")
	}
	earlier := s
	earlier.started = "1"
	if earlier.kill() || !isThereStill(s) {
		t.Error("it was killed for an earlier one")
	}
	if !s.kill() {
		t.Error("it was not killed")
	}
	_ = sleeper.Wait() // it was killed
}

// The name of a process may look like the rest of its line.
func TestReadProcStatOfAnyName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a) R 1 (b")
	writeProgram(t, path, []byte("#!/bin/sh\necho; read x\n"))
	cmd := exec.Command(path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if s, ok := readProcStat(cmd.Process.Pid); !ok || s.parent != os.Getpid() || s.name != "a) R 1 (b" || s.dead {
		t.Errorf("got %+v", s)
	}
	_ = in.Close()
	_ = cmd.Wait() // its exit status means nothing
}
