package stepfile

import (
	"bytes"
	"fmt"
	"go/token"
	"slices"
)

// A collector collects the findings of one file. Findings of one kind are merged, and of
// errors and of warnings MaxFindings are kept.
type collector struct {
	file     *token.File
	end      int // offset of the end of the last line that is not blank
	step     int // position of the step being read, from 1; 0 outside the steps
	findings []Finding
	kinds    map[kind]int // index in findings, of kinds that occur in steps
	// kept and dropped count kinds, by whether they are warnings.
	kept, dropped map[bool]int
}

// A kind is what findings that are reported as one have in common.
type kind struct {
	key, name string
	warning   bool
}

func newCollector(data []byte) collector {
	file := token.NewFileSet().AddFile("", -1, len(data))
	file.SetLinesForContent(data)
	return collector{file: file, end: len(bytes.TrimRight(data, "\r\n")), kinds: map[kind]int{}, kept: map[bool]int{}, dropped: map[bool]int{}}
}

// fail adds an error at an offset.
func (c *collector) fail(at int, key, message string) { c.add(at, kind{key, message, false}, message) }

// warn adds a warning at an offset. Warnings of one kind may have different messages.
func (c *collector) warn(at int, key, name, message string) {
	c.add(at, kind{key, name, true}, message)
}

func (c *collector) add(at int, s kind, message string) {
	if known, ok := c.kinds[s]; ok && c.step > 0 {
		c.findings[known].Repeat(c.step)
		return
	}
	if c.kept[s.warning] == MaxFindings {
		c.dropped[s.warning]++
		return
	}
	c.kept[s.warning]++
	if c.step > 0 {
		c.kinds[s] = len(c.findings)
	}
	where := c.position(at)
	c.findings = append(c.findings, Finding{Line: where.Line, Column: where.Column,
		Step: c.step, Key: s.key, Message: message, Warning: s.warning})
}

// position returns line and column of an offset, which must not lie beyond the last line.
func (c *collector) position(at int) token.Position {
	if c.end == 0 {
		return token.Position{Line: 1, Column: 1}
	}
	return c.file.Position(c.file.Pos(min(at, c.end)))
}

// sorted returns the findings in order, with one at the end for those that were dropped.
func (c *collector) sorted() []Finding {
	for _, dropped := range []struct {
		warning bool
		what    string
	}{{false, "errors"}, {true, "warnings"}} {
		if n := c.dropped[dropped.warning]; n > 0 {
			where := c.position(c.end)
			c.findings = append(c.findings, Finding{Line: where.Line, Column: where.Column, Warning: dropped.warning, More: n - 1,
				Message: fmt.Sprintf("the number of further %s is %d", dropped.what, n)})
		}
	}
	slices.SortStableFunc(c.findings, Finding.Compare)
	return c.findings
}
