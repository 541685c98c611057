package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/stepagent/stepagent/agent/internal/client/capture/live"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
)

// startCapture starts the packet capture of a run against the agent of the settings.
func startCapture(ctx context.Context, path string, settings config.Client, procedure stepfile.Procedure) (*live.Recorder, error) {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", settings.BareHost())
	if err != nil {
		return nil, &exitError{exitUnreachable, fmt.Errorf("the agent cannot be reached: %w", err)}
	}
	var agents []netip.Addr
	for _, a := range addresses {
		if a = a.Unmap(); !slices.Contains(agents, a) {
			agents = append(agents, a)
		}
	}
	recorder, err := live.Start(live.Options{
		Path: path, Agents: agents, Port: uint16(settings.Port), Application: "stepctl " + version.Number(),
		Comment: fmt.Sprintf("run of %s (sha256 %s) against %s", procedure.Name, procedure.SHA256, settings.Address()),
	})
	if errors.Is(err, live.ErrNotPermitted) {
		err = fmt.Errorf("%w; give it that once with: sudo setcap cap_net_raw+ep %s", err, ownPath())
	}
	if err != nil {
		return nil, &exitError{exitEvidence, err}
	}
	return recorder, nil
}

// ownPath is the path of this program.
func ownPath() string {
	path, err := os.Executable()
	if err != nil {
		return "stepctl"
	}
	if whole, err := filepath.EvalSymlinks(path); err == nil {
		path = whole // a capability belongs to the file, not to a link
	}
	return path
}
