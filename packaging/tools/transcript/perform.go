package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A performer performs pages on hosts.
type performer struct {
	commands map[string]string // the shell of each host
	shells   map[string]*shell // those that run
	limit    time.Duration     // for one command
	out      io.Writer
}

// perform performs the page's acts in order and reports whether everything is as the page says;
// with update it puts what was printed into the page instead. An error ends the page: what
// comes after it would stand on nothing.
func (p *performer) perform(ctx context.Context, page *page, update bool) (bool, error) {
	same := true
	for i := range page.acts {
		a := page.acts[i] // where the updates before have moved it
		where := fmt.Sprintf("%s:%d", page.path, a.line)
		output, err := p.command(ctx, a)
		if err != nil {
			return false, fmt.Errorf("%s: %s$ %s: %w\n%s", where, a.host, a.command, err, strings.Join(output, "\n"))
		}
		switch {
		case matches(page.shown(a), output):
			_, _ = fmt.Fprintf(p.out, "%s: as shown\n", where)
		case update:
			page.replace(i, output)
			_, _ = fmt.Fprintf(p.out, "%s: updated\n", where)
		default:
			same = false
			_, _ = fmt.Fprintf(p.out, "%s: %s$ %s\nshown:\n%s\nprinted:\n%s\n", where, a.host, a.command,
				indent(page.shown(a)), indent(output))
		}
	}
	return same, nil
}

func (p *performer) command(ctx context.Context, a act) ([]string, error) {
	s := p.shells[a.host]
	if s == nil {
		command, known := p.commands[a.host]
		if !known {
			return nil, fmt.Errorf("the host %q has no shell; give it one with -host %s=COMMAND", a.host, a.host)
		}
		var err error
		if s, err = openShell(command); err != nil {
			return nil, err
		}
		p.shells[a.host] = s
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.limit, fmt.Errorf("still running after %v", p.limit))
	defer cancel()
	output, status, err := s.perform(ctx, a.command)
	if err == nil && status != 0 {
		err = fmt.Errorf("exit status %d", status)
	}
	return output, err
}

func (p *performer) close() {
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
