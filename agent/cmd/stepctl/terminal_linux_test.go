package main

import (
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openTerminal returns the two ends of a pseudo-terminal of 100 columns; see pty(7).
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	fd := int(keyboard.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(filepath.Join("/dev/pts", strconv.Itoa(number)), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return keyboard, terminal
}

// A transcript is what was written to a terminal so far.
type transcript struct {
	mu      sync.Mutex
	text    strings.Builder
	changed *sync.Cond
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
	return s.text.Write(p)
}

// await returns when the text matches.
func (s *transcript) await(pattern string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for re := regexp.MustCompile(pattern); !re.MatchString(s.text.String()); {
		s.changed.Wait()
	}
}

// A terminalRun is stepctl at a terminal of its own.
type terminalRun struct {
	*exec.Cmd
	keyboard *os.File
	seen     *transcript
	read     chan struct{} // closed when all of its output was read
}

// startAtTerminal starts stepctl at a terminal.
func startAtTerminal(t *testing.T, args ...string) *terminalRun {
	t.Helper()
	keyboard, terminal := openTerminal(t)
	r := &terminalRun{Cmd: exec.Command("stepctl", args...), keyboard: keyboard, seen: &transcript{}, read: make(chan struct{})}
	r.Stdin, r.Stdout, r.Stderr = terminal, terminal, terminal
	r.Env = append(os.Environ(), "TERM=xterm")
	r.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	_ = terminal.Close() // it is the program's now
	r.seen.changed = sync.NewCond(&r.seen.mu)
	go func() {
		defer close(r.read)
		_, _ = io.Copy(r.seen, keyboard) // it ends with an error when the program does
	}()
	return r
}

// interrupt types Ctrl-C.
func (r *terminalRun) interrupt(t *testing.T) {
	t.Helper()
	if _, err := r.keyboard.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
}

// shows checks the exit code and what the terminal shows in the end, and returns all that was written to it.
func (r *terminalRun) shows(t *testing.T, code int, want string) string {
	t.Helper()
	err := r.Wait()
	<-r.read
	if got := r.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d (%v), want %d", got, err, code)
	}
	text := r.seen.text.String()
	if got := screen(text); !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("the screen shows\n%s\nafter\n%q", got, text)
	}
	return text
}

// At a terminal the status line says what is waited for, failures stay above it, and Ctrl-C
// leaves the table and the sentence and nothing of the status line.
func TestTerminal(t *testing.T) {
	agent := mustStartAgent(t, "2=out_of_order", "3=withhold")
	steps := filepath.Join(t.TempDir(), "steps.json")
	file := `{"test_services":[{"step_id":1,"timeout":5},{"step_id":7,"timeout":5},{"step_id":3,"timeout":3600},{"step_id":4,"timeout":5}]}`
	if err := os.WriteFile(steps, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	run := startAtTerminal(t, "run", steps, "--port", agent.port, "--log-format", "text")
	agent.await(3)
	run.seen.await(`step 3 of 4: waiting for the reply, 59m5\ds left; 1 failed so far`)
	run.interrupt(t)
	text := run.shows(t, exitFailed, `^[^\n]*step_id=7 reason=out_of_order[^\n]*
(\^C)?step  verdict     reason        response  detail
   1  ok          - +[0-9.]+ ms
   7  NOK         out_of_order +[0-9.]+ ms  told to say so
   3  unanswered  -                    -
   4  not run     -                    -
interrupted: 1 of 4 steps passed; step 7 was refused: out_of_order; step 3 was sent, and interrupted
before a reply came; step 4 was not run
$`)
	if !strings.Contains(text, "\x1b[31mNOK\x1b[0m") {
		t.Errorf("no colours in\n%q", text)
	}
}

// Against several boards a terminal has a line for each, and in the end the results in their place.
func TestTerminalBoards(t *testing.T) {
	a, b := mustStartAgent(t), mustStartAgent(t, "1=out_of_order", "2=withhold")
	steps := filepath.Join(t.TempDir(), "steps.json")
	if err := os.WriteFile(steps, []byte(`{"test_services":[{"step_id":1,"timeout":5},{"step_id":2,"timeout":3600}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	run := startAtTerminal(t, "run", steps, "--board", "a=127.0.0.1:"+a.port, "--board", "b=127.0.0.1:"+b.port, "--log-format", "text")
	run.seen.await(`a: pass: all 2 steps were answered in order and in time`)
	run.seen.await(`b: step 2 of 2: waiting for the reply, 59m5\ds left; 1 failed so far`)
	run.interrupt(t)
	text := run.shows(t, exitFailed, `^[^\n]*board=b step_id=1 reason=out_of_order[^\n]*
(\^C)?a: pass: all 2 steps were answered in order and in time
b: fail: interrupted: 0 of 2 steps passed; step 1 was refused: out_of_order; step 2 was sent, and
interrupted before a reply came
fail: 1 of 2 boards failed \(b\)
$`)
	if strings.Count(text, wrapOff) != strings.Count(text, wrapOn) {
		t.Errorf("the terminal no longer wraps after\n%q", text)
	}
}

// A second Ctrl-C ends the program even if the first cannot: here no reader takes what it
// has to say, and there is more of it than a pipe holds.
func TestSecondInterrupt(t *testing.T) {
	agent := mustStartAgent(t)
	steps := filepath.Join(t.TempDir(), "steps.json")
	file := `{"test_services":[` + strings.Repeat(`{"step_id":1,"timeout":5},`, 10000) + `{"step_id":1,"timeout":5}]}`
	if err := os.WriteFile(steps, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	unread, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// A shell ignores the signal for what it has in the background, and that is handed on; a signal
	// that is seen to here is not ignored there.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	cmd := exec.Command("stepctl", "run", steps, "--port", agent.port, "--json")
	cmd.Stdout = stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = stdout.Close() // it is the program's now
	// One byte shows that the program is running.
	if _, err := unread.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	// The first signal is taken at some moment; each further one may be the second.
	over := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
		close(over)
	}()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for running := true; running; {
		select {
		case <-again.C:
			_ = cmd.Process.Signal(os.Interrupt) // it may be over
		case <-over:
			running = false
		}
	}
	_ = unread.Close()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("the program ended with %v, want the signal", cmd.ProcessState)
	}
}
