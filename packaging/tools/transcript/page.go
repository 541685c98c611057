package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// A page is a Markdown file with transcripts.
type page struct {
	path  string
	steps []*step  // in order
	rest  []string // the lines after the last step
}

// A step is a command of a page and its output.
type step struct {
	host    string
	command string   // with continuation lines and here-document
	line    int      // of the command, from 1
	before  []string // the lines since the step before, with those of the command
	output  []string
}

var prompt = regexp.MustCompile(`^([a-z][a-z0-9-]*)[$#] (.+)$`)

// hereDocument matches the end of a command that has a here-document, sh(1).
var hereDocument = regexp.MustCompile(`<<'?([A-Z]+)'?$`)

const fence = "```"

// readPage reads a page and finds its steps.
func readPage(path string) (*page, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := &page{path: path}
	lines := strings.Split(string(text), "\n")
	inside, opened, done := false, 0, 0
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		m := prompt.FindStringSubmatch(line)
		switch {
		case !inside:
			inside = strings.TrimSpace(line) == fence+"console"
			opened = i + 1
		case strings.TrimSpace(line) == fence:
			inside = false
		case m != nil:
			s := &step{host: m[1], command: m[2], line: i + 1}
			for strings.HasSuffix(s.command, `\`) && i+1 < len(lines) {
				i++
				s.command += "\n" + lines[i]
			}
			if m := hereDocument.FindStringSubmatch(s.command); m != nil {
				for last := ""; last != m[1] && i+1 < len(lines); s.command += "\n" + last {
					i++
					last = lines[i]
				}
			}
			from := i + 1
			for i+1 < len(lines) && !prompt.MatchString(lines[i+1]) && strings.TrimSpace(lines[i+1]) != fence {
				i++
			}
			s.before, s.output, done = lines[done:from], lines[from:i+1], i+1
			p.steps = append(p.steps, s)
		default:
			return nil, fmt.Errorf("%s:%d: output before the first command of a block; begin with HOST$ COMMAND", path, i+1)
		}
	}
	p.rest = lines[done:]
	switch {
	case inside:
		return nil, fmt.Errorf("%s:%d: the block has no end; close it with %s", path, opened, fence)
	case len(p.steps) == 0:
		return nil, fmt.Errorf("%s: no %sconsole block with a command HOST$ COMMAND", path, fence)
	}
	return p, nil
}

func (p *page) write() error {
	info, err := os.Stat(p.path)
	if err != nil {
		return err
	}
	return os.WriteFile(p.path, []byte(strings.Join(p.lines(), "\n")), info.Mode().Perm())
}

func (p *page) lines() (all []string) {
	for _, s := range p.steps {
		all = slices.Concat(all, s.before, s.output)
	}
	return append(all, p.rest...)
}
