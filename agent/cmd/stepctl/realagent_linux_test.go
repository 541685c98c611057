package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"regexp"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// linuxCmds are the commands of scripts that are for Linux only:
//
//	realagent CONFIG      starts a real agent with the config and sets $PORT; it ends with the script
//	recorded FILE LINE    waits until a line of the file matches
var linuxCmds = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"realagent": cmdRealAgent, "recorded": cmdRecorded,
}

func cmdRealAgent(ts *testscript.TestScript, _ bool, args []string) {
	port, stop, err := startRealAgent(ts.MkAbs(args[0]), "127.0.0.1")
	ts.Check(err)
	ts.Defer(stop)
	ts.Setenv("PORT", port)
}

// startRealAgent starts a real agent with a config file, which listens on an address; stop ends it.
func startRealAgent(file, host string) (port string, stop func(), err error) {
	from := config.Sources{File: file, Set: map[string]string{"host": host, "port": "0"}}
	sockets, err := daemon.TempRuntimeDir()
	if err != nil {
		return "", nil, err
	}
	agent, err := daemon.Start(context.Background(), daemon.Options{
		Load: func() (*config.Loaded, error) { return config.Load(from) }, RuntimeDir: sockets, Version: "1.2.3",
		Plugin: daemon.Plugin{Path: "/proc/self/exe", Argv0: validatorsName}, Log: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar),
	})
	if err != nil {
		_ = os.RemoveAll(sockets)
		return "", nil, err
	}
	_, port, err = net.SplitHostPort(agent.Addr().String())
	return port, func() {
		_ = agent.Stop(context.Background())
		_ = os.RemoveAll(sockets)
	}, err
}

func cmdRecorded(ts *testscript.TestScript, _ bool, args []string) {
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		switch {
		case err == nil && pattern.Match(text):
			return
		case time.Now().After(deadline):
			ts.Fatalf("%s has no line %s: %s, error %v", args[0], args[1], text, err)
		}
	}
}
