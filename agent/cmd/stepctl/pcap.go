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
	"strconv"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/capture/live"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
)

// startCapture starts the packet capture of a run against the agents of the settings.
func startCapture(ctx context.Context, path string, settings config.Client, procedure stepfile.Procedure) (*live.Recorder, error) {
	agents, err := lookUp(ctx, settings.Addresses())
	if err != nil {
		return nil, &exitError{exitUnreachable, fmt.Errorf("the agent cannot be reached: %w", err)}
	}
	recorder, err := live.Start(live.Options{
		Path: path, Agents: agents, Application: "stepctl " + version.Number(),
		Comment: fmt.Sprintf("run of %s (sha256 %s) against %s", procedure.Name, procedure.SHA256, strings.Join(settings.Addresses(), ", ")),
	})
	if errors.Is(err, live.ErrNotPermitted) {
		err = fmt.Errorf("%w; give it that once with: sudo setcap cap_net_raw+ep %s", err, ownPath())
	}
	if err != nil {
		return nil, &exitError{exitEvidence, err}
	}
	return recorder, nil
}

// lookUp returns the addresses of each agent by its host and port. The error says why none has one.
func lookUp(ctx context.Context, agents []string) (map[string][]netip.AddrPort, error) {
	found := map[string][]netip.AddrPort{}
	var problems []error
	for _, agent := range agents {
		host, service, err := net.SplitHostPort(agent)
		var port uint64
		if err == nil {
			port, err = strconv.ParseUint(service, 10, 16)
		}
		var addresses []netip.Addr
		if err == nil {
			addresses, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
		problems = append(problems, err)
		for _, a := range addresses {
			if at := netip.AddrPortFrom(a.Unmap(), uint16(port)); !slices.Contains(found[agent], at) {
				found[agent] = append(found[agent], at)
			}
		}
	}
	if len(found) == 0 {
		return nil, errors.Join(problems...)
	}
	return found, nil
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
