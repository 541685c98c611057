package main

import (
	"context"
	"fmt"
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

// A stage is the agent of a demonstration and the folder of its files.
type stage struct {
	dir     string
	log     *os.File
	agent   *daemon.Agent
	socket  string // folder for sockets, whose paths must be short
	inForce string // the agent's config
}

// setStage starts an agent with the config of the first act.
func setStage(ctx context.Context, dir string) (_ *stage, err error) {
	s := &stage{dir: dir}
	defer func() {
		if err != nil {
			_ = s.close() // the first error is returned
		}
	}()
	if s.log, err = os.Create(filepath.Join(dir, "agent.log")); err != nil {
		return nil, err
	}
	if s.socket, err = daemon.TempRuntimeDir(); err != nil {
		return nil, err
	}
	level := new(slog.LevelVar)
	log, err := logging.New(s.log, logging.Options{Format: "text", Level: level})
	if err != nil {
		return nil, err
	}
	if err := s.configure(acts()[0]); err != nil {
		return nil, err
	}
	s.agent, err = daemon.Start(ctx, daemon.Options{
		Load: func() (*config.Loaded, error) {
			return config.Load(config.Sources{File: s.configFile(), Set: map[string]string{"host": "127.0.0.1", "port": "0"}})
		},
		RuntimeDir: s.socket, Version: version.Number(), Plugin: self(), Log: log, Level: level,
	})
	return s, err
}

func (s *stage) close() error {
	var err error
	if s.agent != nil {
		err = s.agent.Stop(context.Background())
	}
	if s.log != nil {
		_ = s.log.Close() // only read later
	}
	_ = os.RemoveAll(s.socket) // in the temporary folder: no harm if it stays
	return err
}

func (s *stage) configFile() string { return filepath.Join(s.dir, "stepagent.toml") }

// configure writes the act's config.
func (s *stage) configure(a act) error {
	s.inForce = a.config
	return os.WriteFile(s.configFile(), []byte(a.config), 0o644)
}

// perform runs the act's procedure against the agent, prints each step as it happens and returns
// where the run differs from the expectations.
func (s *stage) perform(ctx context.Context, a act, say func(string, ...any)) ([]string, error) {
	if a.config != s.inForce {
		if err := s.configure(a); err != nil {
			return nil, err
		}
		if err := s.agent.Reload(ctx); err != nil {
			return nil, err
		}
		say("   The agent has been given another config, without a restart: %s\n",
			strings.Join(s.agent.Status().Names(), ", "))
	}
	procedure, err := stepfile.Builtin(a.data)
	if err != nil {
		return nil, err
	}
	file, err := record.Create(filepath.Join(s.dir, a.data+".jsonl"))
	if err != nil {
		return nil, err
	}
	var live record.Live
	var failed error
	run, err := runner.Run(ctx, procedure, runner.Options{
		Address: s.agent.Addr().String(), ClientVersion: version.Number(), AgentVersion: version.Number(),
		Emit: func(e record.Event) {
			if err := file.Write(e); failed == nil {
				failed = err
			}
			step, err := live.Add(e)
			if failed == nil {
				failed = err
			}
			if line := report.Line(e, step); line != "" {
				say("   %s\n", line)
			}
		},
	})
	if closeErr := file.Close(); failed == nil {
		failed = closeErr
	}
	switch {
	case err != nil:
		return nil, err
	case failed != nil:
		return nil, failed
	case ctx.Err() != nil:
		return nil, fmt.Errorf("interrupted")
	}
	say("   %s\n", report.Sentence(run))
	return a.judge(run), nil
}
