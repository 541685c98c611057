package peers

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/stepagent/stepagent/agent/internal/testkit/freeport"
)

// Agents that serve HTTP.
const (
	unwatchedName = "HTTP, no viewer"
	watchedName   = "HTTP, ten viewers"
	viewerCount   = 10
)

// startHTTP runs an agent with the default validators that serves HTTP.
func (s *starter) startHTTP(name string, viewers int) *peer {
	port, err := freeport.Free()
	if err != nil {
		s.b.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", port)
	p := s.startAgent(name, fmt.Sprintf("[http]\nlisten = %q\nread_only = true\n", address))
	p.viewers, p.events = viewers, "http://"+address+"/api/v1/events"
	return p
}

// watch starts viewers of an agent in a process of their own, as pages are, and returns when each has an
// event. End ends them.
func (m *measurements) watch(p *peer) (end func()) {
	m.b.Helper()
	cmd := exec.Command("/proc/self/exe", viewersRole, p.events, strconv.Itoa(p.viewers))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		m.b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		m.b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		m.b.Fatal(err)
	}
	end = func() {
		if err := errors.Join(stdin.Close(), cmd.Wait()); err != nil {
			m.b.Errorf("%s: the viewers: %v", p.name, err)
		}
	}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		end()
		m.b.Fatalf("%s: the viewers: %v", p.name, err)
	}
	return end
}

// serveViewers reads the events at the URL like several pages until stdin is closed. It prints a line
// when each viewer has an event.
func serveViewers(url, number string) error {
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // an error is an end too
		cancel()
	}()
	var begun, ended sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		begun.Add(1)
		ended.Go(func() { errs[i] = view(ctx, url, sync.OnceFunc(begun.Done)) })
	}
	begun.Wait()
	fmt.Println("watching")
	ended.Wait()
	return errors.Join(errs...)
}

// view reads events until the context ends. It calls begun at the first event, or when it returns.
func view(ctx context.Context, url string, begun func()) error {
	defer begun()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := new(http.Transport).RoundTrip(request) // a connection of its own
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	lines := bufio.NewReader(response.Body)
	for line := ""; err == nil && !strings.HasPrefix(line, "data:"); {
		line, err = lines.ReadString('\n')
	}
	if err == nil {
		begun()
		_, err = io.Copy(io.Discard, lines)
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("the events end: %w", cmp.Or(err, io.EOF))
}
