//go:build !linux

package verify

import (
	"context"
	"errors"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// start says that validators which are executables need Linux.
func (r *Rules) start(context.Context, config.Validator) (judge.Group, error) {
	return nil, errors.New("it is an executable, and those run on Linux only; verify the capture there")
}
