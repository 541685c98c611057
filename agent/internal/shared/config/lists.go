package config

import (
	"path/filepath"
	"slices"

	"github.com/stepagent/stepagent/agent/protocol"
)

// errorCodeTable decodes [error_codes].
func (d *decoder) errorCodeTable(n *node, path string) {
	t, ok := want[table](d, n, path, "a table")
	if !ok {
		return
	}
	d.errorCodes = map[protocol.Reason]int{}
	for key, n := range t.entries() {
		code, ok := n.value.(int64)
		float, _ := n.value.(float64)
		rounded, isWhole := whole(float)
		name := join(path, key)
		switch {
		case !slices.Contains(protocol.Sent(), protocol.Reason(key)):
			d.problem(n, name, "%s", unknownReason(key))
		case !ok && float != 0 && isWhole:
			d.problem(n, name, "%v", notAsWhole(rounded))
		case !ok:
			d.problem(n, name, "want a whole number, got %s", describe(n.value))
		case wrongCode(code) != "":
			d.problem(n, name, "%s", wrongCode(code))
		default:
			d.errorCodes[protocol.Reason(key)] = int(code)
		}
	}
}

// listenerList decodes [[listeners]].
func (d *decoder) listenerList(n *node, path string) {
	d.listeners = rowSet[Listener]{listenerSchema(), MaxListeners}.decode(d, n, path)
	for i := range d.listeners {
		if _, unix := d.listeners[i].Socket(); unix && d.listeners[i].Mode == "" {
			d.listeners[i].Mode = defaultSocketMode
		}
	}
}

func (d *decoder) validatorList(n *node, path string) {
	if _, ok := n.value.(table); ok {
		d.problem(n, path, "want a list, got a table; head each validator with [[validators]] in TOML, "+
			"with a - before its name in YAML")
		return
	}
	l, ok := want[list](d, n, path, "a list of tables, each with a name")
	if !ok {
		return
	}
	if len(l) > MaxValidators {
		d.problem(n, path, "%s", tooMany(len(l)))
		return
	}
	d.validators = make([]Validator, len(l))
	for i, entry := range l {
		d.validator(entry, elementPath(path, i), &d.validators[i])
	}
}

func (d *decoder) validator(n *node, path string, v *Validator) {
	t, ok := want[table](d, n, path, "a table with a name")
	if !ok {
		return
	}
	for key, n := range t.entries() {
		name := join(path, key)
		switch key {
		case "name":
			v.Name, _ = want[string](d, n, name, "a string")
		case "as":
			v.As, _ = want[string](d, n, name, "a string")
		case "checksum":
			v.Checksum, _ = want[string](d, n, name, "a string")
		case "path":
			v.Path, _ = want[string](d, n, name, "a string")
			if v.Path != "" && !filepath.IsAbs(v.Path) {
				v.Path = filepath.Join(n.from.folder, v.Path)
			}
		case "args":
			args, _ := want[list](d, n, name, "a list of strings")
			v.Args = nil // those of a file before
			for i, arg := range args {
				s, _ := want[string](d, arg, elementPath(name, i), "a string")
				v.Args = append(v.Args, s)
			}
		case "settings":
			if settings, ok := want[table](d, n, name, "a table"); ok {
				v.Settings = d.settings(settings, name)
			}
		default:
			known := []string{"name", "as", "path", "checksum", "args", "settings"}
			if hint := didYouMean(key, known); hint != "" {
				d.problem(n, name, "unknown key%s", hint)
			} else {
				d.problem(n, name, "unknown key; what the validator itself is told stands in its settings, "+
					"and %s", only(known))
			}
		}
	}
}
