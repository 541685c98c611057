package verify

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

// Rules are what an agent judges by, ready to judge by it again. Close them.
type Rules struct {
	Judge        *judge.Judge
	Session      session.Options
	MessageBytes int
	// Text says in words what the validators are, and Simple that they are those for which
	// Options.Simple may be set.
	Text   string
	Simple bool
	close  []func()
}

// Close ends the processes of validators that have one.
func (r *Rules) Close() {
	for _, f := range r.close {
		f()
	}
}

// LoadRules makes the rules of an agent with the config; file is where it comes from, empty
// for the defaults. Bundled validators run in this process, and executables in processes of
// their own. version is that of the bundled validators. An error is about the config, with
// its places.
func LoadRules(ctx context.Context, c *config.Loaded, version string) (*Rules, error) {
	r := &Rules{
		Session: session.OptionsOf(c.Config), MessageBytes: c.Limits.MessageBytes,
	}
	groups, err := r.groups(ctx, c, version)
	if err != nil {
		r.Close()
		return nil, err
	}
	r.Judge = judge.New(judge.NewChain(judge.Options{
		Generation: 1, AllowFaults: c.AllowFaults, Limits: judge.Limits{Floor: c.Judging.Floor, Cap: c.Judging.Cap},
	}, groups...))
	names := make([]string, len(c.Validators))
	r.Simple = true
	for i, v := range c.Validators {
		names[i] = v.As
		r.Simple = r.Simple && v.Path == "" && (v.Name == "sequence" || v.Name == "min_timeout")
	}
	r.Text = "the validators " + strings.Join(names, ", ")
	if files := c.Files(); len(files) == 0 {
		r.Text += " with their defaults"
	} else {
		r.Text += " of " + strings.Join(files, ", ")
	}
	return r, nil
}

// groups makes a group of each validator, in the config's order.
func (r *Rules) groups(ctx context.Context, c *config.Loaded, version string) ([]judge.Group, error) {
	known := map[string]sdk.Validator{}
	for _, v := range bundled.Plugin(version).Validators {
		known[v.Name] = v
	}
	var groups []judge.Group
	var problems config.Problems
	for i, v := range c.Validators {
		key := fmt.Sprintf("validators[%d]", i)
		if v.Path != "" {
			group, err := r.start(ctx, v)
			if err != nil {
				problems = append(problems, c.Problem(key, err.Error()))
				continue
			}
			groups = append(groups, group)
			continue
		}
		factory, ok := known[v.Name]
		if !ok {
			problems = append(problems, c.Problem(key+".name", fmt.Sprintf("no bundled validator has the name %q", v.Name)))
			continue
		}
		made, err := factory.New(v.Settings)
		if err != nil {
			problems = append(problems, c.Problem(key+".settings", err.Error()))
			continue
		}
		groups = append(groups, judge.Local(judge.Member{Name: v.As, Validator: made}))
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return groups, nil
}
