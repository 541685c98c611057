package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// parseYAML parses one YAML document. It accepts the part of YAML that TOML has too: keys are strings,
// and there are no anchors, aliases, merge keys or tags.
func parseYAML(data []byte) (*node, Problems) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return &node{value: table{}}, nil
	} else if err != nil {
		return nil, Problems{yamlProblem(data, err)}
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		return nil, Problems{{Place: Place{Line: second.Line, Column: second.Column},
			Message: "a second document begins; keep one in a file"}}
	} else if !errors.Is(err, io.EOF) {
		return nil, Problems{yamlProblem(data, err)}
	}
	var r yamlReader
	top := doc.Content[0]
	root := r.node(top, "", 0)
	if _, ok := root.value.(table); !ok {
		if root.value != nil {
			r.problem(top, "", "want keys with values, such as port: 8080, got %s", describe(root.value))
		}
		root.value = table{}
	}
	return root, r.problems
}

// yamlLine finds the line that the library names in its errors.
var yamlLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^line (\d+): `) })

// yamlStructure matches the errors for which the library counts lines from 0.
var yamlStructure = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^did not find expected (key|',' or|'-' indicator|node content|<)`)
})

func yamlProblem(data []byte, err error) Problem {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1 // the library does not name line 1
	if m := yamlLine().FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1]) // digits of a line number
		message = strings.TrimPrefix(message, m[0])
		if yamlStructure().MatchString(message) {
			line++
		}
	}
	hint := ""
	switch {
	case yamlStructure().MatchString(message):
		hint = "; look at the indentation, the quotes and the brackets up to here"
	case strings.Contains(message, "cannot start any token"):
		hint = "; indent with spaces, and put a string that begins with such a character into quotes"
	case strings.HasPrefix(message, "found a tab character"):
		line, hint = tabbed(data, line), "; indent with spaces"
	case strings.Contains(message, "alphabetic or numeric character"):
		hint = "; put a string that begins with & or * into quotes"
	case strings.HasPrefix(message, "mapping values are not allowed"):
		hint = "; look at the indentation, and put a string with a colon into quotes"
	case strings.HasPrefix(message, "could not find expected ':'"):
		hint = "; write key: value, with a space after the colon"
	case strings.HasPrefix(message, "found unexpected end of stream"):
		hint = "; a string in quotes is not closed"
	case strings.HasPrefix(message, "unknown anchor"):
		line, hint = 0, "; put a string that begins with * into quotes"
	}
	return Problem{
		Place:   Place{Line: min(line, bytes.Count(data, []byte("\n"))+1)},
		Message: logging.Clean(message) + hint,
	}
}

// tabbed returns the line that is indented by a tab. The library names the line in which the value
// before it begins.
func tabbed(data []byte, line int) int {
	number := 0
	for text := range bytes.Lines(data) {
		number++
		indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
		if number >= line && bytes.ContainsRune(indent, '\t') {
			return number
		}
	}
	return line
}

// A yamlReader converts the library's nodes and collects the problems.
type yamlReader struct{ problems Problems }

func (r *yamlReader) problem(n *yaml.Node, key, format string, args ...any) {
	r.problems = append(r.problems, Problem{
		Place: Place{Line: n.Line, Column: n.Column}, Key: key, Message: fmt.Sprintf(format, args...)})
}

func (r *yamlReader) node(n *yaml.Node, path string, depth int) *node {
	out := &node{line: n.Line, column: n.Column}
	switch {
	case depth > maxDepth:
		out.value = tooDeep{}
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.problem(n, path, "anchors and aliases are not read; write the value itself, "+
			"in quotes if it begins with & or *")
	case n.Style&yaml.TaggedStyle != 0:
		r.problem(n, path, "the tag %s is not read; write the value itself, in quotes if it is a string",
			show(n.Tag))
	case n.Kind == yaml.MappingNode:
		out.value = r.table(n, path, depth)
	case n.Kind == yaml.SequenceNode:
		l := make(list, 0, len(n.Content))
		for i, c := range n.Content {
			l = append(l, r.node(c, elementPath(path, i), depth+1))
		}
		out.value = l
	default:
		out.value = r.scalar(n, path)
	}
	return out
}

func (r *yamlReader) table(n *yaml.Node, path string, depth int) table {
	t := make(table, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Tag != "!!str" || key.Style&yaml.TaggedStyle != 0 {
			r.problem(key, path, "a key that is no string; write a word, or put it into quotes")
			continue
		}
		name := join(path, key.Value)
		if first, ok := t[key.Value]; ok {
			r.problem(key, name, "is already given in line %d; take one of the two out", first.line)
			continue
		}
		child := r.node(value, name, depth+1)
		child.line, child.column = key.Line, key.Column
		t[key.Value] = child
	}
	return t
}

// allDigits reports whether the text is an integer in decimal.
func allDigits(text string) bool {
	number := withoutSign(text)
	return number != "" && strings.Trim(number, digits+"_") == ""
}

// leadingZero reports whether the text is an integer that is octal in YAML 1.1 and decimal in YAML 1.2.
func leadingZero(text string) bool {
	number := withoutSign(text)
	return len(number) > 1 && number[0] == '0' && allDigits(number)
}

func withoutSign(number string) string {
	if number != "" && strings.ContainsAny(number[:1], "-+") {
		return number[1:]
	}
	return number
}

func (r *yamlReader) scalar(n *yaml.Node, path string) any {
	plain := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	if plain && n.Tag != "!!str" && leadingZero(n.Value) {
		r.problem(n, path, "%s begins with a zero, which is read as octal by some; write it without",
			show(n.Value))
		return nil
	}
	var value any
	if err := n.Decode(&value); err != nil {
		r.problem(n, path, "%s", logging.Clean(strings.TrimPrefix(err.Error(), "yaml: ")))
		return nil
	}
	switch v := value.(type) {
	case int:
		return int64(v)
	case uint64:
		r.problem(n, path, "%d is too large for a whole number of 64 bits", v)
	case float64:
		if allDigits(n.Value) {
			r.problem(n, path, "%s is too large for a whole number of 64 bits", clip(n.Value))
		}
	}
	return value
}
