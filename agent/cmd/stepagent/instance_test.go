package main

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// TestInstance: with --instance a command looks where the service of that name has its config,
// its sockets and its record.
func TestInstance(t *testing.T) {
	for _, variable := range []string{configVariable, "RUNTIME_DIRECTORY", "STATE_DIRECTORY"} {
		t.Setenv(variable, "/elsewhere")
	}
	cmd := newStatus()
	if err := cmd.ParseFlags([]string{"--instance", "line-2"}); err != nil {
		t.Fatal(err)
	}
	if err := cmd.PreRunE(cmd, nil); err != nil {
		t.Fatal(err)
	}
	from := sources(cmd)
	if from.File != "/etc/stepagent/line-2.toml" {
		t.Errorf("the config is %s", from.File)
	}
	if dirs := daemon.SearchDirs(); !slices.Equal(dirs, []string{"/run/stepagent@line-2", "/var/lib/stepagent@line-2/run"}) {
		t.Errorf("the sockets are in %s", dirs)
	}
	c, err := config.Load(config.Sources{Environ: os.Environ()})
	if err != nil {
		t.Fatal(err)
	}
	if c.Record.Dir != "/var/lib/stepagent@line-2/record" {
		t.Errorf("the record is in %s", c.Record.Dir)
	}
}

func TestInstanceNames(t *testing.T) {
	for _, name := range []string{"", ".", "../x", "a/b", "-a", "a b", "a@b", "é"} {
		cmd := newStatus()
		if err := cmd.ParseFlags([]string{"--instance=" + name}); err != nil {
			t.Fatal(err)
		}
		var usage cli.UsageError
		if err := cmd.PreRunE(cmd, nil); !errors.As(err, &usage) {
			t.Errorf("the name %q: %v, want a usage error", name, err)
		}
	}
}

func TestOtherInstances(t *testing.T) {
	t.Parallel()
	err := errors.New("no agent answers")
	if got := otherInstances(err, nil); got != err {
		t.Errorf("with no instance the error becomes %q", got)
	}
	want := "no agent answers; other agents run here: --instance a, b"
	if got := otherInstances(err, []string{"a", "b"}); got.Error() != want || !errors.Is(got, err) {
		t.Errorf("got %q, want %q", got, want)
	}
}
