package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A runner runs the commands of pages on hosts.
type runner struct {
	commands map[string]string // the command that starts the shell of each host
	shells   map[string]*shell // started shells
	limit    time.Duration     // for one command
	out      io.Writer
}

// runPage runs the steps of a page in order and reports whether their output matches the page; with
// update it writes output that differs into the page. It stops at the first command that fails,
// since later ones depend on it.
func (p *runner) runPage(ctx context.Context, page *page, update bool) (bool, error) {
	same := true
	for _, step := range page.steps {
		where := fmt.Sprintf("%s:%d", page.path, step.line)
		output, err := p.runStep(ctx, step)
		if err != nil {
			return false, fmt.Errorf("%s: %s$ %s: %w\n%s", where, step.host, step.command, err, strings.Join(output, "\n"))
		}
		switch {
		case matches(step.output, output):
			_, _ = fmt.Fprintf(p.out, "%s: as shown\n", where)
		case update:
			step.output = output
			_, _ = fmt.Fprintf(p.out, "%s: updated\n", where)
		default:
			same = false
			_, _ = fmt.Fprintf(p.out, "%s: %s$ %s\nshown:\n%s\nprinted:\n%s\n", where, step.host, step.command,
				indent(step.output), indent(output))
		}
	}
	return same, nil
}

func (p *runner) runStep(ctx context.Context, step *step) ([]string, error) {
	s := p.shells[step.host]
	if s == nil {
		command, known := p.commands[step.host]
		if !known {
			return nil, fmt.Errorf("the host %q has no shell; give it one with -host %s=COMMAND", step.host, step.host)
		}
		var err error
		if s, err = openShell(command); err != nil {
			return nil, err
		}
		p.shells[step.host] = s
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.limit, fmt.Errorf("still running after %v", p.limit))
	defer cancel()
	output, status, err := s.run(ctx, step.command)
	if err == nil && status != 0 {
		err = fmt.Errorf("exit status %d", status)
	}
	return output, err
}

func (p *runner) close() {
	for _, s := range p.shells {
		s.close()
	}
}

func indent(lines []string) string {
	lines = slices.Clone(lines)
	for i := range lines {
		lines[i] = "    " + normal(lines[i])
	}
	return strings.Join(lines, "\n")
}
