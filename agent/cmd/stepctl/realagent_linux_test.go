package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/testkit/freeport"
)

// linuxCmds are the commands of scripts that are for Linux only:
//
//	realagent CONFIG      starts a real agent with the config and sets $PORT; it ends with the script
//	agentprocess NAME CONFIG
//	                      starts one in a process of its own and sets $NAME to its port
//	killagent NAME        kills the process of that agent
//	recorded FILES LINE   waits until a line of the files matches; FILES may be a pattern
var linuxCmds = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"realagent": cmdRealAgent, "agentprocess": cmdAgentProcess, "killagent": cmdKillAgent, "recorded": cmdRecorded,
}

func cmdRealAgent(ts *testscript.TestScript, _ bool, args []string) {
	port, stop, err := startRealAgent(ts.MkAbs(args[0]), "127.0.0.1")
	ts.Check(err)
	ts.Defer(stop)
	ts.Setenv("PORT", port)
}

// startRealAgent starts a real agent with a config file, which listens on an address; stop ends it.
func startRealAgent(file, host string) (port string, stop func(), err error) {
	sockets, err := daemon.TempRuntimeDir()
	if err != nil {
		return "", nil, err
	}
	agent, err := newRealAgent(file, host, "0", sockets)
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

// newRealAgent starts a real agent in a folder for its sockets.
func newRealAgent(file, host, port, sockets string) (*daemon.Agent, error) {
	from := config.Sources{File: file, Set: map[string]string{"host": host, "port": port}}
	return daemon.Start(context.Background(), daemon.Options{
		Load: func() (*config.Loaded, error) { return config.Load(from) }, RuntimeDir: sockets, Version: "1.2.3",
		Plugin: daemon.Plugin{Path: "/proc/self/exe", Argv0: validatorsName}, Log: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar),
	})
}

// realAgentName is the name by which this test binary is a real agent: NAME CONFIG PORT.
const realAgentName = "realagent-process"

// linuxPrograms are the programs of this test binary for Linux only.
var linuxPrograms = map[string]func(){realAgentName: serveRealAgent}

func serveRealAgent() {
	if _, err := newRealAgent(os.Args[1], "127.0.0.1", os.Args[2], os.Getenv("RUNTIME_DIRECTORY")); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	select {} // until it is killed
}

// newAgentProcess starts a real agent with a config file in a process of its own; stop kills it.
func newAgentProcess(file string) (port string, process *os.Process, stop func(), err error) {
	if port, err = freeport.Free(); err != nil {
		return "", nil, nil, err
	}
	sockets, err := daemon.TempRuntimeDir()
	if err != nil {
		return "", nil, nil, err
	}
	cmd, err := startAgentProcess(file, port, sockets)
	if err != nil {
		_ = os.RemoveAll(sockets)
		return "", nil, nil, err
	}
	return port, cmd.Process, func() {
		end(cmd)
		_ = os.RemoveAll(sockets)
	}, nil
}

// startAgentProcess starts a real agent in a process of its own, with a config file, a port and a folder for
// its sockets, and waits until it accepts connections.
func startAgentProcess(file, port, sockets string) (*exec.Cmd, error) {
	cmd := exec.Command("/proc/self/exe", file, port)
	cmd.Args[0] = realAgentName
	cmd.Env = append(os.Environ(), "RUNTIME_DIRECTORY="+sockets)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			return cmd, conn.Close()
		}
		if time.Now().After(deadline) {
			end(cmd)
			return nil, err
		}
	}
}

// end kills a process and waits for its end.
func end(cmd *exec.Cmd) {
	_ = cmd.Process.Kill() // it may have ended
	_ = cmd.Wait()         // it was killed
}

func cmdAgentProcess(ts *testscript.TestScript, _ bool, args []string) {
	port, process, stop, err := newAgentProcess(ts.MkAbs(args[1]))
	ts.Check(err)
	ts.Defer(stop)
	ts.Setenv(args[0], port)
	ts.Setenv(args[0]+"_PID", strconv.Itoa(process.Pid))
}

func cmdKillAgent(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(ts.Getenv(args[0] + "_PID"))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
}

func cmdRecorded(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(awaitLine(ts.MkAbs(args[0]), args[1]))
}

// awaitLine waits until a line of the files of a pattern matches.
func awaitLine(files, line string) error {
	pattern, err := regexp.Compile(line)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		paths, err := filepath.Glob(files)
		var text []byte
		for _, path := range paths {
			var more []byte
			if more, err = os.ReadFile(path); err != nil {
				break
			}
			text = append(text, more...)
		}
		switch {
		case err == nil && pattern.Match(text):
			return nil
		case time.Now().After(deadline):
			return errors.Join(fmt.Errorf("%s has no line %s:\n%s", files, line, text), err)
		}
	}
}
