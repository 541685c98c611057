package conformance

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/plugins/validator"
	"github.com/stepagent/stepagent/plugins/validatortest"
)

// A remote is a validator in a plugin's process.
type remote struct {
	set   *pluginhost.Set
	group judge.Group
}

// newRemote returns the validator of a set: a validator.Declarer if the plugin declares what it reads.
func newRemote(set *pluginhost.Set) validator.Validator {
	r := &remote{set: set, group: set.Groups()[0]}
	if declaration := set.Status()[0].Reads; declaration != nil {
		return &declarer{r, inputs(declaration)}
	}
	return r
}

// A declarer is a remote that declares what it reads.
type declarer struct {
	*remote
	reads validator.Inputs
}

func (d *declarer) Reads() validator.Inputs { return d.reads }

// inputs returns the inputs of these names.
func inputs(names []string) (reads validator.Inputs) {
	for input := validator.Inputs(1); input < validator.AllInputs; input <<= 1 {
		if slices.Contains(names, input.String()) {
			reads |= input
		}
	}
	return reads
}

// Validate asks the process. Its error names the law that is broken where only this side can tell.
func (r *remote) Validate(ctx context.Context, session validator.Session, step validator.Step) (validator.Verdict, error) {
	// The group may read the state after it has returned, and the caller may reuse it.
	states := [][]byte{bytes.Clone(session.State)}
	session.State = nil
	answer := r.group.Judge(ctx, judge.Call{Session: session, States: states, Step: step})[0]
	if status := r.set.Status()[0]; status.Restarts > 0 || status.State != pluginhost.Serving {
		return validator.Verdict{}, &validatortest.Broken{Law: "answer", Problem: "the process was lost: " + status.LastError}
	}
	if answer.Err == nil {
		return answer.Verdict, nil
	}
	problem := answer.Err.Error()
	switch {
	case errors.Is(answer.Err, context.DeadlineExceeded):
		return validator.Verdict{}, &validatortest.Broken{Law: "deadline", Problem: "no verdict in time"}
	case strings.HasPrefix(problem, "panic: "):
		return validator.Verdict{}, &validatortest.Broken{Law: "answer", Problem: problem}
	case strings.HasPrefix(problem, "malformed verdict: "):
		return validator.Verdict{}, &validatortest.Broken{Law: "form", Problem: problem}
	default:
		return validator.Verdict{}, answer.Err
	}
}
