package agentrules

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// start runs an executable validator as a plugin process, which Close ends.
func (r *Rules) start(ctx context.Context, v config.Validator) (judge.Group, error) {
	dir, err := os.MkdirTemp("", "stepctl-verify-")
	if err != nil {
		return nil, fmt.Errorf("no folder for its socket: %w", err)
	}
	r.close = append(r.close, func() { _ = os.RemoveAll(dir) }) // holds only the socket
	host, err := pluginhost.New(pluginhost.Options{SocketDir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	set, err := host.Start(ctx, []pluginhost.Spec{{
		Name: v.As, Validator: v.Name, Path: v.Path, Checksum: v.Checksum, Args: v.Args, Settings: v.Settings,
		Hide: r.secrets.Hide,
	}})
	if err != nil {
		host.Close()
		if wrong := (*pluginhost.SpecError)(nil); errors.As(err, &wrong) {
			err = errors.New(strings.TrimPrefix(wrong.Key+": ", ": ") + wrong.Problem)
		}
		return nil, err
	}
	r.close = append([]func(){func() { set.Close(context.Background()); host.Close() }}, r.close...)
	return set.Groups()[0], nil
}
