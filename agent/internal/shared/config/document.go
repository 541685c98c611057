package config

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A node is one value of a config file and its place: that of its key, or its own in a list.
//
// The value is a string, int64, float64, bool, nil, table or list; any other type is a date or a
// time.
type node struct {
	from         *content // the file; nil for a default
	line, column int
	value        any
	elements     int   // of a list in TOML: the [[headers]] that were read
	under        *node // the value of the same key in the files before; nil for none
}

type (
	table   map[string]*node
	list    []*node
	tooDeep struct{} // the value of nodes deeper than maxDepth
)

// maxDepth is how deep tables and lists may be nested.
const maxDepth = 32

// A parser parses the bytes of a file. The tree is nil when the syntax is wrong; with other Problems
// it is complete, so that the rest is checked too.
type parser func(data []byte) (*node, Problems)

// Formats are the names of the formats that a config may have.
func Formats() []string { return []string{"toml", "yaml"} }

// HasFormat reports whether the extension of a file names a format.
func HasFormat(file string) bool {
	_, err := parserFor(file, "")
	return err == nil
}

// parserFor returns the parser of the named format or, if that is empty, of the file's extension.
func parserFor(file, format string) (parser, error) {
	ext := filepath.Ext(file)
	if format != "" {
		ext = "." + format
	}
	switch strings.ToLower(ext) {
	case ".toml":
		return parseTOML, nil
	case ".yaml", ".yml":
		return parseYAML, nil
	case "":
		return nil, fmt.Errorf("has no extension; name it .toml, .yaml or .yml after its format")
	default:
		return nil, fmt.Errorf("%s is no extension of a config; name it .toml, .yaml or .yml after its format",
			show(ext))
	}
}

// parse returns the tree of the file, a table, which has no keys if the file has comments only. An
// empty file is refused unless mayBeEmpty: an interrupted write leaves one.
func (c *content) parse() (root *node, problems Problems) {
	data := bytes.TrimPrefix(c.data, []byte("\ufeff")) // a byte order mark, which some editors write
	offset, wrong := badText(data)
	switch {
	case !c.mayBeEmpty && len(bytes.TrimSpace(data)) == 0:
		problems = Problems{{Message: "the file is empty, as a write leaves it that was cut off; " +
			"write a comment for the defaults, such as # defaults, or start the agent without a file"}}
	case wrong != "":
		line, column := (&cursor{data: data}).at(offset)
		problems = Problems{{Place: Place{Line: line, Column: column}, Message: wrong}}
	default:
		root, problems = c.read(data)
	}
	for i := range problems {
		problems[i].File = c.file
	}
	if root != nil {
		root.writtenIn(c)
		c.keyless = len(root.value.(table)) == 0
	}
	return root, problems
}

// badText returns the offset of the first character that no config may have, and a message: control
// characters, and line breaks that only YAML knows.
func badText(data []byte) (offset int, what string) {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return i, fmt.Sprintf("byte 0x%02X is not UTF-8; save the file as UTF-8", data[i])
		case r == '\n', r == '\t', r == '\r' && bytes.HasPrefix(data[i:], []byte("\r\n")):
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return i, fmt.Sprintf("control character %U; take it out, or write it as \\u%04X in a string"+
				" in double quotes", r, r)
		}
		i += size
	}
	return 0, ""
}

// writtenIn sets the file of a node and of all nodes below it.
func (n *node) writtenIn(c *content) {
	n.from = c
	switch v := n.value.(type) {
	case table:
		for _, child := range v {
			child.writtenIn(c)
		}
	case list:
		for _, child := range v {
			child.writtenIn(c)
		}
	}
}

// place returns where the node was written.
func (n *node) place() Place {
	if n.from == nil {
		return Place{}
	}
	return Place{File: n.from.file, Line: n.line, Column: n.column}
}

// entries iterates over the keys of a table in order, and over a key once for each file that has it,
// in the order of the files.
func (t table) entries() iter.Seq2[string, *node] {
	return func(yield func(string, *node) bool) {
		for _, key := range slices.Sorted(maps.Keys(t)) {
			var layers []*node
			for n := t[key]; n != nil; n = n.under {
				layers = append(layers, n)
			}
			for _, n := range slices.Backward(layers) {
				if !yield(key, n) {
					return
				}
			}
		}
	}
}

// A cursor converts offsets to lines and columns, fastest when they ascend.
type cursor struct {
	data                 []byte
	offset, line, column int // line and column count from 0 here
}

// at returns the line and the column of an offset, both from 1.
func (c *cursor) at(offset int) (line, column int) {
	if offset < c.offset {
		c.offset, c.line, c.column = 0, 0, 0
	}
	for c.offset < offset {
		r, size := utf8.DecodeRune(c.data[c.offset:])
		c.offset += size
		c.column++
		if r == '\n' {
			c.line, c.column = c.line+1, 0
		}
	}
	return c.line + 1, c.column + 1
}

// find returns the node at a path such as "validators[1].settings.plan[2].step_id" and true, or the
// nearest node above it and false.
func (n *node) find(path string) (found *node, exact bool) {
	steps := strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
	for _, step := range steps {
		next := n.child(step)
		if next == nil {
			return n, false
		}
		n = next
	}
	return n, true
}

// child returns a value of a table, or of a list by its number; nil for none.
func (n *node) child(name string) *node {
	switch v := n.value.(type) {
	case table:
		return v[name]
	case list:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(v) {
			return v[i]
		}
	}
	return nil
}
