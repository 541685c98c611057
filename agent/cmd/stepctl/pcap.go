package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/client/verify"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
)

// startCapture begins to capture a run against the agent at address.
func startCapture(ctx context.Context, path, address string, procedure stepfile.Procedure) (*capture.Live, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, err
	}
	agents, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, &exitError{exitUnreachable, fmt.Errorf("the agent cannot be reached: %w", err)}
	}
	for i := range agents {
		agents[i] = agents[i].Unmap()
	}
	live, err := capture.Start(capture.LiveOptions{
		Path: path, Agents: unique(agents), Port: uint16(port), Application: "stepctl " + version.Number(),
		Comment: fmt.Sprintf("run of %s (sha256 %s) against %s", procedure.Name, procedure.SHA256, address),
	})
	if errors.Is(err, capture.ErrNotPermitted) {
		err = fmt.Errorf("%w; give it that once with: sudo setcap cap_net_raw+ep %s", err, ownPath())
	}
	if err != nil {
		return nil, &exitError{exitEvidence, err}
	}
	return live, nil
}

// unique leaves out addresses that come again.
func unique(agents []netip.Addr) []netip.Addr {
	var all []netip.Addr
	known := map[netip.Addr]bool{}
	for _, a := range agents {
		if !known[a] {
			known[a] = true
			all = append(all, a)
		}
	}
	return all
}

// ownPath is where this program is, for whoever gives it a right.
func ownPath() string {
	path, err := os.Executable()
	if err != nil {
		return "stepctl"
	}
	if whole, err := filepath.EvalSymlinks(path); err == nil {
		path = whole // a capability belongs to the file itself, not to a link to it
	}
	return path
}

// closingComment says what came of a captured run.
func closingComment(run record.Run) string {
	return verify.CommentOf(run.Verdict.String(), report.Sentence(run), run.Start.Session)
}
