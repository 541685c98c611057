package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A shell runs commands on one host, one after another. Its directory and variables persist.
type shell struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string // its output; closed when it exits
}

// openShell starts the command, which must read shell commands from its standard input.
func openShell(command string) (*shell, error) {
	cmd := exec.Command("sh", "-c", "exec "+command)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe() // one pipe for both keeps the order of lines
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	_ = w.Close() // the shell has a copy
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	s := &shell{cmd: cmd, in: in, lines: make(chan string)}
	go func() {
		defer close(s.lines)
		defer func() { _ = r.Close() }()
		for scanner := bufio.NewScanner(r); scanner.Scan(); {
			s.lines <- scanner.Text()
		}
	}()
	return s, nil
}

var errExited = errors.New("the host's shell exited")

// run returns what the command prints to stdout and stderr, and its exit status. If the context ends
// first, it kills the shell.
func (s *shell) run(ctx context.Context, command string) (output []string, status int, err error) {
	end := "end-" + rand.Text()
	// The marker is on a line of its own; the newline before it is removed if it made an empty line.
	script := fmt.Sprintf("{ %s\n} </dev/null\nprintf '\\n%s %%d\\n' $?\n", command, end)
	if _, err := io.WriteString(s.in, script); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errExited, err)
	}
	for {
		select {
		case line, open := <-s.lines:
			if !open {
				return output, 0, errExited
			}
			if number, found := strings.CutPrefix(line, end+" "); found {
				status, err = strconv.Atoi(number)
				if n := len(output); n > 0 && output[n-1] == "" {
					output = output[:n-1]
				}
				return output, status, err
			}
			output = append(output, line)
		case <-ctx.Done():
			s.kill()
			return output, 0, context.Cause(ctx)
		}
	}
}

// exitTimeout is how long a shell may take to exit at the end of its commands.
const exitTimeout = 2 * time.Second

// close ends the shell and kills the processes that it left.
func (s *shell) close() {
	_ = s.in.Close()
	go func() {
		for range s.lines { // discard output until it exits
		}
	}()
	defer s.kill()
	defer time.AfterFunc(exitTimeout, s.kill).Stop()
	_ = s.cmd.Wait() // its status is not that of a command
}

// kill kills the shell and the processes that it started. It does nothing if no process is left.
func (s *shell) kill() { _ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) }
