package config

import "reflect"

// A rowSet is a list of tables whose keys are the fields of a struct.
type rowSet[T any] struct {
	schema *schema
	most   int // entries
}

// decode decodes the list. It returns nil for an empty list, and for what is no list.
func (s rowSet[T]) decode(d *decoder, n *node, path string) []T {
	if _, ok := n.value.(table); ok {
		d.problem(n, path, "want a list, got a table; head each entry with [[%s]] in TOML, with a - before its first key in YAML", path)
		return nil
	}
	l, _ := want[list](d, n, path, "a list of tables")
	if len(l) > s.most {
		d.problem(n, path, "%s", tooManyEntries(len(l), s.most))
		return nil
	}
	var rows []T
	for i, entry := range l {
		var row T
		s.schema.setDefaults(&row)
		d.row(s.schema, entry, elementPath(path, i), reflect.ValueOf(&row).Elem())
		rows = append(rows, row)
	}
	return rows
}

// row decodes one table into a struct with its defaults.
func (d *decoder) row(s *schema, n *node, path string, into reflect.Value) {
	t, _ := want[table](d, n, path, "a table")
	for key, n := range t.entries() {
		name := join(path, key)
		k := s.find(key)
		if k == nil {
			hint := didYouMean(key, s.fileNames())
			if hint == "" {
				hint = "; " + only(s.fileNames())
			}
			d.problem(n, name, "unknown key%s", hint)
			continue
		}
		if value, ok := d.value(n, name, k.kind); ok {
			into.FieldByIndex(k.index).Set(reflect.ValueOf(value))
		}
	}
}

// rowFindings checks the fields of an entry at a path; row points to its struct.
func rowFindings(s *schema, row any, path string) (found []finding) {
	s.fields(row, func(k *key, field reflect.Value) {
		if err := k.kind.check(field.Interface()); err != nil {
			found = append(found, finding{[]string{join(path, k.name)}, err.Error()})
		}
	})
	return found
}

// shownRow returns an entry as a file has it, without what is empty or 0; row points to its struct.
func shownRow(s *schema, row any) map[string]any {
	shown := map[string]any{}
	s.fields(row, func(k *key, field reflect.Value) {
		if !field.IsZero() {
			shown[k.name] = field.Interface()
		}
	})
	return shown
}
