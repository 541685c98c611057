package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// A page is a Markdown file with transcripts.
type page struct {
	path  string
	lines []string // without line ends
	steps []step   // in order
}

// A step is a command of a page and its output.
type step struct {
	host     string
	command  string // with continuation lines and here-document
	line     int    // of the command, from 1
	from, to int    // the output, as indexes into the page's lines
}

var prompt = regexp.MustCompile(`^([a-z][a-z0-9-]*)[$#] (.+)$`)

// hereDocument matches the end of a command that has a here-document, sh(1).
var hereDocument = regexp.MustCompile(`<<'?([A-Z]+)'?$`)

const fence = "```"

func readPage(path string) (*page, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := &page{path: path, lines: strings.Split(string(text), "\n")}
	return p, p.parse()
}

// parse finds the steps.
func (p *page) parse() error {
	inside, opened := false, 0
	for i := 0; i < len(p.lines); i++ {
		line := p.lines[i]
		switch {
		case !inside:
			inside = strings.TrimSpace(line) == fence+"console"
			opened = i + 1
		case strings.TrimSpace(line) == fence:
			inside = false
		case prompt.MatchString(line):
			m := prompt.FindStringSubmatch(line)
			a := step{host: m[1], command: m[2], line: i + 1}
			for strings.HasSuffix(a.command, `\`) && i+1 < len(p.lines) {
				i++
				a.command += "\n" + p.lines[i]
			}
			if m := hereDocument.FindStringSubmatch(a.command); m != nil {
				for last := ""; last != m[1] && i+1 < len(p.lines); a.command += "\n" + last {
					i++
					last = p.lines[i]
				}
			}
			a.from = i + 1
			for i+1 < len(p.lines) && !prompt.MatchString(p.lines[i+1]) && strings.TrimSpace(p.lines[i+1]) != fence {
				i++
			}
			a.to = i + 1
			p.steps = append(p.steps, a)
		default:
			return fmt.Errorf("%s:%d: output before the first command of a block; begin with HOST$ COMMAND", p.path, i+1)
		}
	}
	if inside {
		return fmt.Errorf("%s:%d: the block has no end; close it with %s", p.path, opened, fence)
	}
	if len(p.steps) == 0 {
		return fmt.Errorf("%s: no %sconsole block with a command HOST$ COMMAND", p.path, fence)
	}
	return nil
}

// shown returns the output of a step in the page.
func (p *page) shown(a step) []string { return p.lines[a.from:a.to] }

// replace replaces the output of the step i in the page.
func (p *page) replace(i int, output []string) {
	a := p.steps[i]
	p.lines = append(p.lines[:a.from:a.from], append(output[:len(output):len(output)], p.lines[a.to:]...)...)
	grown := len(output) - (a.to - a.from)
	p.steps[i].to += grown
	for j := i + 1; j < len(p.steps); j++ {
		p.steps[j].line += grown
		p.steps[j].from += grown
		p.steps[j].to += grown
	}
}

func (p *page) write() error {
	info, err := os.Stat(p.path)
	if err != nil {
		return err
	}
	return os.WriteFile(p.path, []byte(strings.Join(p.lines, "\n")), info.Mode().Perm())
}
