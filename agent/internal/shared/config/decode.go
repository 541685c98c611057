package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A decoder decodes the tree of a file. Unknown keys and values of a wrong type are Problems.
type decoder struct {
	schema     *schema
	scalars    map[string]any
	places     map[string]Place // of the scalars
	validators []Validator
	tlsClients []TLSClient
	listeners  []Listener
	errorCodes map[protocol.Reason]int
	problems   Problems
	wrong      map[fileKey]bool // what has a problem
}

// A fileKey is a key in one of the files.
type fileKey struct{ file, key string }

func decode(s *schema, root *node, problems Problems) *decoder {
	d := &decoder{schema: s, scalars: map[string]any{}, places: map[string]Place{}, problems: problems, wrong: map[fileKey]bool{}}
	for _, p := range problems {
		d.wrong[fileKey{p.File, p.Key}] = true
	}
	d.table(root.value.(table), "")
	return d
}

// problem adds a problem of a node, at most one for each.
func (d *decoder) problem(n *node, path, format string, args ...any) {
	place := n.place()
	if at := (fileKey{place.File, path}); !d.wrong[at] {
		d.wrong[at] = true
		d.problems = append(d.problems, Problem{Place: place, Key: path, Message: fmt.Sprintf(format, args...)})
	}
}

// table decodes the file itself, with an empty path, or one of its sections.
func (d *decoder) table(t table, path string) {
	for key, n := range t.entries() {
		name := join(path, key)
		switch k := d.schema.find(name); {
		case k != nil:
			d.scalar(n, name, k.kind)
		case name == "validators" && slices.Contains(d.schema.tables, name):
			d.validatorList(n, name)
		case name == "tls.clients" && slices.Contains(d.schema.tables, name):
			d.tlsClients = rowSet[TLSClient]{tlsClientSchema(), MaxTLSClients}.decode(d, n, name)
		case name == "listeners" && slices.Contains(d.schema.tables, name):
			d.listenerList(n, name)
		case name == "error_codes" && slices.Contains(d.schema.tables, name):
			d.errorCodeTable(n, name)
		case d.schema.isSection(name):
			if section, ok := want[table](d, n, name, "a table"); ok {
				d.table(section, name)
			}
		default:
			d.unknown(n, path, key)
		}
	}
}

// want returns the value of a node if it is a T; what describes a T.
func want[T any](d *decoder, n *node, path, what string) (T, bool) {
	value, ok := n.value.(T)
	if !ok {
		d.problem(n, path, "want %s, got %s", what, describe(n.value))
	}
	return value, ok
}

func (d *decoder) scalar(n *node, name string, k kind) {
	if value, ok := d.value(n, name, k); ok {
		d.scalars[name], d.places[name] = value, n.place()
	}
}

// value returns the value of a node if it is of the kind.
func (d *decoder) value(n *node, name string, k kind) (value any, ok bool) {
	value, err := k.fromFile(n.value)
	var elements elementErrors
	switch {
	case err == nil:
		return value, true
	case errors.As(err, &elements):
		for i, element := range n.value.(list) {
			if wrong, ok := elements[i]; ok {
				d.problem(element, elementPath(name, i), "%s", wrong)
			}
		}
	default:
		d.problem(n, name, "%v", err)
	}
	return nil, false
}

// unknown suggests the key that was most likely meant.
func (d *decoder) unknown(n *node, path, key string) {
	name := join(path, key)
	names := append(d.schema.fileNames(), d.schema.tables...)
	var here []string // what may stand next to the key
	for _, known := range names {
		section, rest, nested := strings.Cut(known, ".")
		switch {
		case !nested && path == "":
			here = append(here, known)
		case nested && path == "" && !slices.Contains(here, section):
			here = append(here, section)
		case nested && path == section:
			here = append(here, rest)
		}
	}
	if best := nearest(key, here); best != "" {
		d.problem(n, name, "unknown key; did you mean %s?", best)
		return
	}
	var sections []string // that have such a key
	for _, known := range names {
		if section, last, nested := strings.Cut(known, "."); nested && last == key {
			sections = append(sections, section)
		} else if known == key {
			d.problem(n, name, "unknown key; %s stands outside every table, at the top of the file", key)
			return
		}
	}
	if len(sections) > 0 {
		d.problem(n, name, "unknown key; %s stands in the table %s", key, strings.Join(sections, ", and in "))
		return
	}
	d.problem(n, name, "unknown key; %s", only(here))
}

func only(keys []string) string { return "the keys here are " + strings.Join(keys, ", ") }
