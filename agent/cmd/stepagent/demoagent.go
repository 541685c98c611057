package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
)

// A demoAgent is the agent of a demonstration and the folder of its files.
type demoAgent struct {
	*daemon.Agent
	dir     string
	log     *os.File
	sockets string // folder for sockets, whose paths must be short
	config  string // in force
}

// startDemo starts an agent with the config of the first case.
func startDemo(ctx context.Context, dir string) (_ *demoAgent, err error) {
	d := &demoAgent{dir: dir}
	defer func() {
		if err != nil {
			_ = d.close() // the first error is returned
		}
	}()
	if d.log, err = os.Create(filepath.Join(dir, "agent.log")); err != nil {
		return nil, err
	}
	if d.sockets, err = daemon.TempRuntimeDir(); err != nil {
		return nil, err
	}
	level := new(slog.LevelVar)
	log, err := logging.New(d.log, logging.Options{Format: "text", Level: level})
	if err != nil {
		return nil, err
	}
	if err := d.configure(demoCases()[0]); err != nil {
		return nil, err
	}
	d.Agent, err = daemon.Start(ctx, daemon.Options{
		Load: func() (*config.Loaded, error) {
			return config.Load(config.Sources{File: d.configFile(), Set: map[string]string{"host": "127.0.0.1", "port": "0"}})
		},
		RuntimeDir: d.sockets, Version: version.Number(), Plugin: self(), Log: log, Level: level,
	})
	return d, err
}

func (d *demoAgent) close() (err error) {
	if d.Agent != nil {
		err = d.Stop(context.Background())
	}
	_ = d.log.Close()           // only read later
	_ = os.RemoveAll(d.sockets) // in the temporary folder: no harm if it stays
	return err
}

func (d *demoAgent) configFile() string { return filepath.Join(d.dir, "stepagent.toml") }

// configure writes the config of a case.
func (d *demoAgent) configure(c demoCase) error {
	d.config = c.config
	return os.WriteFile(d.configFile(), []byte(c.config), 0o644)
}

// run runs the procedure of a case against the agent, prints each step as it happens and returns the
// differences between the run and the expectations.
func (d *demoAgent) run(ctx context.Context, c demoCase, printf func(string, ...any)) ([]string, error) {
	if c.config != d.config {
		if err := d.configure(c); err != nil {
			return nil, err
		}
		if err := d.Reload(ctx); err != nil {
			return nil, err
		}
		printf("   The agent has been given another config, without a restart: %s\n", strings.Join(d.Status().Names(), ", "))
	}
	procedure, err := stepfile.Builtin(c.procedure)
	if err != nil {
		return nil, err
	}
	file, err := record.Create(filepath.Join(d.dir, c.procedure+".jsonl"))
	if err != nil {
		return nil, err
	}
	var live record.Live
	var failed error
	run, err := runner.Run(ctx, procedure, runner.Options{
		Address: d.Addr().String(), ClientVersion: version.Number(), AgentVersion: version.Number(),
		RetryFor: -1, // the agent's faults are to be seen
		Emit: func(e record.Event) {
			step, err := live.Add(e)
			failed = cmp.Or(failed, file.Write(e), err)
			if line := report.Line(e, step); line != "" {
				printf("   %s\n", line)
			}
		},
	})
	if err := cmp.Or(err, failed, file.Close()); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, errors.New("interrupted")
	}
	printf("   %s\n", report.Sentence(run))
	return c.check(run), nil
}
