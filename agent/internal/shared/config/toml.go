package config

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// parseTOML decodes the values with the library, and walks its syntax tree for their places, which
// the decoder does not report.
func parseTOML(data []byte) (*node, Problems) {
	var values map[string]any
	if err := toml.Unmarshal(data, &values); err != nil {
		return nil, Problems{tomlProblem(data, err)}
	}
	root := tomlNode(values, 0)
	placeTOML(root, data)
	return root, nil
}

func tomlProblem(data []byte, err error) Problem {
	var syntax *toml.DecodeError
	if !errors.As(err, &syntax) {
		return Problem{Message: logging.Clean(strings.TrimPrefix(err.Error(), "toml: "))}
	}
	line, column := syntax.Position()
	message := logging.Clean(strings.TrimPrefix(syntax.Error(), "toml: "))
	switch {
	case strings.HasSuffix(message, "at start of value"):
		message = "no value that TOML knows; write a string in quotes, a number without a unit, true or false"
	case strings.HasSuffix(message, "is incomplete"):
		message += "; close it, or end the line before with a comma"
	case strings.HasSuffix(message, "is already defined"), strings.Contains(message, "already exists"):
		message += "; take one of the two out"
	}
	return Problem{Place: Place{Line: line, Column: inRunes(data, line, column)}, Message: message}
}

// inRunes converts a column in bytes to one in characters.
func inRunes(data []byte, line, column int) int {
	text := bytes.SplitN(data, []byte("\n"), line+1)[line-1]
	end := min(column-1, len(text))
	for end > 0 && end < len(text) && !utf8.RuneStart(text[end]) {
		end-- // the column may be in the middle of a character
	}
	return utf8.RuneCount(text[:end]) + 1
}

func tomlNode(value any, depth int) *node {
	n := &node{value: value}
	switch v := value.(type) {
	case map[string]any:
		t := make(table, len(v))
		for key, value := range v {
			t[key] = tomlNode(value, depth+1)
		}
		n.value = t
	case []any:
		l := make(list, 0, len(v))
		for _, value := range v {
			l = append(l, tomlNode(value, depth+1))
		}
		n.value = l
	}
	if depth > maxDepth {
		n.value = tooDeep{}
	}
	return n
}

// A tomlPlacer walks the syntax tree of a valid document and sets the places of the nodes.
type tomlPlacer struct {
	unstable.Parser
	cursor cursor
}

func placeTOML(root *node, data []byte) {
	p := tomlPlacer{cursor: cursor{data: data}}
	p.Reset(data)
	section := root
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table:
			section = p.keys(root, e.Key(), false)
		case unstable.ArrayTable:
			section = p.keys(root, e.Key(), true)
		case unstable.KeyValue:
			p.keyValue(section, e)
		}
	}
}

// keys follows a dotted key from n and returns the node at its end: for the header of an array of
// tables the next element of the list. On the way, a list means its element whose header came last.
// The walk ends at a node that is too deep.
func (p *tomlPlacer) keys(n *node, keys unstable.Iterator, header bool) *node {
	for keys.Next() {
		if l, ok := n.value.(list); ok {
			n = l[n.elements-1]
		}
		t, ok := n.value.(table)
		if !ok {
			return n
		}
		n = t[string(keys.Node().Data)]
		p.place(n, keys.Node().Raw)
		if l, ok := n.value.(list); ok && header && keys.IsLast() {
			n.elements++
			n = l[n.elements-1]
			p.place(n, keys.Node().Raw)
		}
	}
	return n
}

func (p *tomlPlacer) keyValue(section *node, e *unstable.Node) {
	p.value(p.keys(section, e.Key(), false), e.Value())
}

// value places the nodes in an inline table or an array.
func (p *tomlPlacer) value(n *node, v *unstable.Node) {
	children := v.Children()
	switch v.Kind {
	case unstable.InlineTable:
		for children.Next() {
			p.keyValue(n, children.Node())
		}
	case unstable.Array:
		elements, _ := n.value.(list) // none when it is too deep
		for i := 0; i < len(elements) && children.Next(); i++ {
			element := elements[i]
			element.line, element.column = n.line, n.column // an array within has no place
			if raw := children.Node().Raw; raw.Length > 0 {
				element.line, element.column = 0, 0
				p.place(element, raw)
			}
			p.value(element, children.Node())
		}
	}
}

// place sets the place of a node, unless its first header has set it.
func (p *tomlPlacer) place(n *node, raw unstable.Range) {
	if n.line == 0 {
		n.line, n.column = p.cursor.at(int(raw.Offset))
	}
}
