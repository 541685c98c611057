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

// A shell performs commands on one host, one after the other, and keeps its directory and its
// variables between them.
type shell struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string // what it prints; closed when it has ended
}

// openShell starts the command, which must read shell commands from its standard input.
func openShell(command string) (*shell, error) {
	cmd := exec.Command("sh", "-c", "exec "+command)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe() // one pipe for both, so that the order of their lines stays
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	_ = w.Close() // ours; the shell has its own
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

var errEnded = errors.New("the host's shell has ended")

// perform returns what the command prints, on both of its outputs, and its exit status.
func (s *shell) perform(ctx context.Context, command string) (output []string, status int, err error) {
	end := "end-" + rand.Text()
	// The command reads nothing of ours; the marker begins a line of its own and is taken off
	// with the line end that it may have cost.
	script := fmt.Sprintf("{ %s\n} </dev/null\nprintf '\\n%s %%d\\n' $?\n", command, end)
	if _, err := io.WriteString(s.in, script); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errEnded, err)
	}
	for {
		select {
		case line, open := <-s.lines:
			if !open {
				return output, 0, errEnded
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
			return output, 0, context.Cause(ctx)
		}
	}
}

// endTime is how long a shell may take to end once it has no more commands.
const endTime = 2 * time.Second

// close ends the shell and whatever it has left running.
func (s *shell) close() {
	_ = s.in.Close() // the end of its commands
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.cmd.Wait() // its status says nothing about a command
	}()
	go func() {
		for range s.lines { // what it still prints
		}
	}()
	group := -s.cmd.Process.Pid
	select {
	case <-ended:
	case <-time.After(endTime):
	}
	_ = syscall.Kill(group, syscall.SIGKILL) // fails when nothing is left
	<-ended
}
