package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Evidence is the content of the pages: a Case for each capture.
type Evidence struct {
	Success, Failure, Timeout, Clients, Field, Killed Case
	// Files are all files of the folder with their SHA-256 sums.
	Files []File
}

// A File is one file of evidence.
type File struct{ Name, SHA256 string }

// A Case is one capture and the report of stepctl on it.
type Case struct {
	Capture string // success.pcapng
	Report
}

// A Report is what the pages use of the output of stepctl verify --json.
type Report struct {
	File struct {
		Application string
		Packets     int
		First, Last time.Time
	}
	Verdict     string
	Agents      []string
	Connections int
	Sessions    []Session
}

// A Session is one run of a client, as the packets show it.
type Session struct {
	ID, Client string
	Steps      []Step
}

// A Step is one request and its outcome. Times are in seconds.
type Step struct {
	StepID   int `json:"step_id"`
	Position int
	Request  Message
	Reply    *Message
	Reason   string
	Response *float64
	Timeout  *float64
	Interval *float64
	Gap      *float64
	Outcome  string
}

// A Message has the number of the packet that completed it.
type Message struct{ Packet int }

// Count returns how many steps have the outcome.
func (c Case) Count(outcome string) (n int) {
	for _, s := range c.Sessions {
		n += s.Count(outcome)
	}
	return n
}

// Count returns how many steps have the outcome.
func (s Session) Count(outcome string) (n int) {
	for _, step := range s.Steps {
		if step.Outcome == outcome {
			n++
		}
	}
	return n
}

// Slowest returns the longest time that a step waited for its reply, in seconds.
func (c Case) Slowest() (longest float64) {
	for _, s := range c.Sessions {
		for _, step := range s.Steps {
			if step.Response != nil {
				longest = max(longest, *step.Response)
			}
		}
	}
	return longest
}

// Lasted returns the duration of the capture in seconds.
func (c Case) Lasted() float64 { return c.File.Last.Sub(c.File.First).Seconds() }

func collect(stepctl, folder string) (Evidence, error) {
	var e Evidence
	for _, c := range []struct {
		to              *Case
		capture, record string
	}{
		{&e.Success, "success.pcapng", "success.jsonl"},
		{&e.Failure, "failure.pcapng", "failure.jsonl"},
		{&e.Timeout, "timeout.pcapng", "timeout.jsonl"},
		{&e.Clients, "clients.pcap", ""},
		{&e.Field, "field.pcap", ""},
		{&e.Killed, "killed.pcapng", "killed.jsonl"},
	} {
		c.to.Capture = c.capture
		if err := c.to.judge(stepctl, folder, c.record); err != nil {
			return e, err
		}
	}
	sums, err := os.ReadFile(filepath.Join(folder, "SHA256SUMS"))
	if err != nil {
		return e, err
	}
	for line := range strings.Lines(string(sums)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		e.Files = append(e.Files, File{Name: name, SHA256: sum})
	}
	return e, nil
}

// judge has stepctl judge the capture again, with the record of its client, if there is one.
func (c *Case) judge(stepctl, folder, record string) error {
	args := []string{"verify", "--json", filepath.Join(folder, c.Capture)}
	if record != "" {
		args = append(args, "--record", filepath.Join(folder, record))
	}
	out, err := exec.Command(stepctl, args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("%s: the capture does not show what it claims; see stepctl verify %s\n%s",
			c.Capture, filepath.Join(folder, c.Capture), exit.Stderr)
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, &c.Report); err != nil {
		return fmt.Errorf("%s: %w", c.Capture, err)
	}
	if c.Verdict != "pass" || len(c.Sessions) == 0 {
		return fmt.Errorf("%s: verdict %q of %d sessions, want a pass", c.Capture, c.Verdict, len(c.Sessions))
	}
	return nil
}
