//go:build !linux

package agentrules

import (
	"context"
	"errors"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// start refuses executable validators: plugin processes run on Linux only.
func (r *Rules) start(context.Context, config.Validator) (judge.Group, error) {
	return nil, errors.New("it is an executable, and those run on Linux only; verify the capture there")
}
