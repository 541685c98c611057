// Package agentrules loads what an agent judges by from its config: the validators, the rules of
// sessions and the limits. Bundled validators run in this process; executables run in processes
// of their own until Close.
package agentrules

import (
	"context"
	"fmt"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/plugins/bundled"
	"github.com/stepagent/stepagent/plugins/sdk"
)

// Rules are the validators and session rules of an agent, ready to judge. Close them after use.
type Rules struct {
	Judge        *judge.Judge
	Session      session.Options
	MessageBytes int
	// Text names the validators and the config files for a report.
	Text string
	// Simple says that all validators judge by step ids, positions and timeouts alone, see
	// verify.Options.
	Simple  bool
	secrets *config.Secrets // in the settings of the validators
	close   []func()
}

// Close ends the processes of the validators.
func (r *Rules) Close() {
	for _, f := range r.close {
		f()
	}
}

// Load returns the rules of an agent with the config c; version is that of the bundled
// validators. Errors are config.Problems with their places in the config.
func Load(ctx context.Context, c *config.Loaded, version string) (*Rules, error) {
	r := &Rules{Session: session.OptionsOf(c.Config), MessageBytes: c.Limits.MessageBytes, Simple: true}
	groups, err := r.loadGroups(ctx, c, version)
	if err != nil {
		r.Close()
		return nil, err
	}
	r.Judge = judge.New(judge.NewChain(judge.Options{
		Generation: 1, AllowFaults: c.AllowFaults, Limits: judge.Limits{Floor: c.Judging.Floor, Cap: c.Judging.Cap},
	}, groups...))
	names := make([]string, len(c.Validators))
	for i, v := range c.Validators {
		names[i] = v.As
		r.Simple = r.Simple && v.Path == "" && (v.Name == "sequence" || v.Name == "min_timeout")
	}
	from := " with their defaults"
	if files := c.Files(); len(files) > 0 {
		from = " of " + strings.Join(files, ", ")
	}
	r.Text = "the validators " + strings.Join(names, ", ") + from
	return r, nil
}

// loadGroups makes one group per validator, in the order of the config.
func (r *Rules) loadGroups(ctx context.Context, c *config.Loaded, version string) ([]judge.Group, error) {
	known := map[string]sdk.Validator{}
	for _, v := range bundled.Plugin(version).Validators {
		known[v.Name] = v
	}
	validators, secrets, err := c.ResolveSettings()
	if err != nil {
		return nil, err
	}
	r.secrets = secrets
	var groups []judge.Group
	var problems config.Problems
	for i, v := range validators {
		group, at, err := r.loadGroup(ctx, v, known)
		if err != nil {
			problems = append(problems, c.Problem(fmt.Sprintf("validators[%d]%s", i, at), secrets.Hide(err.Error())))
		}
		groups = append(groups, group)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return groups, nil
}

// loadGroup returns the group of one validator; at is the key of v that an error is about.
func (r *Rules) loadGroup(ctx context.Context, v config.Validator, known map[string]sdk.Validator) (group judge.Group, at string, err error) {
	if v.Path != "" {
		group, err = r.start(ctx, v)
		return group, "", err
	}
	bundled, ok := known[v.Name]
	if !ok {
		return nil, ".name", fmt.Errorf("no bundled validator has the name %q", v.Name)
	}
	made, err := bundled.New(v.Settings)
	if err != nil {
		return nil, ".settings", err
	}
	return judge.Local(judge.Member{Name: v.As, Validator: made}), "", nil
}
