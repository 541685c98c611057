package main

import (
	"path/filepath"
	"testing"
)

// A worker performs its runs over TLS.
func TestWorkerOverTLS(t *testing.T) {
	lab := newTLSSite(t)
	agent, stop, err := startAgent([]string{"tls=on"}, lab)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	s := newSite(t, filepath.Join(t.TempDir(), "runs.db"), map[string]*scriptedAgent{"bench-7": agent})
	run := func(want int, args ...string) string {
		t.Helper()
		if code, _, stderr, err := runs("queue", "add", "quick", "--board", "bench-7", "--db", s.place, "--config", ""); code != 0 || err != nil {
			t.Fatalf("exit code %d, error %v: %s", code, err, stderr)
		}
		code, stdout, stderr, err := runs(append([]string{"worker", "--db", s.place, "--boards", s.file, "--once", "--config", ""}, args...)...)
		if code != want || err != nil {
			t.Errorf("%v: exit code %d, want %d, error %v: %s%s", args, code, want, err, stdout, stderr)
		}
		return string(stdout) + string(stderr)
	}
	run(0, "--tls", "--ca", lab.files["ca.pem"], "--cert", lab.files["station.pem"], "--key", lab.files["station.key"])
	run(3, "--tls", "--ca", lab.files["ca.pem"])
	run(3)
	if n := s.value("SELECT count(*) FROM runs WHERE cause = 'refused'"); n != "2" {
		t.Errorf("%s runs were refused", n)
	}
}
