package config

import (
	"bytes"
	"encoding/json"
	"math"
)

// settings returns a table as a JSON object with sorted keys, so that equal tables give equal bytes;
// nil for a table without keys.
func (d *decoder) settings(t table, path string) []byte {
	before := len(d.problems)
	object := d.plainTable(t, path)
	if len(object) == 0 || len(d.problems) > before {
		return nil
	}
	return marshal(object)
}

// plainTable returns a table without places.
func (d *decoder) plainTable(t table, path string) map[string]any {
	object := make(map[string]any, len(t))
	for key, n := range t.entries() {
		object[key] = d.plain(n, join(path, key))
	}
	return object
}

// plain returns a value without places. It refuses values that JSON does not have.
func (d *decoder) plain(n *node, path string) any {
	switch v := n.value.(type) {
	case string, int64, bool:
		return v
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v + 0 // of the two zeros the one that both formats have
		}
		d.problem(n, path, "want a finite number, got %g", v)
	case table:
		return d.plainTable(v, path)
	case list:
		plain := make([]any, len(v))
		for i, element := range v {
			plain[i] = d.plain(element, elementPath(path, i))
		}
		return plain
	case nil:
		d.problem(n, path, "has no value; give it one, or take the key out")
	case tooDeep:
		d.problem(n, path, "is nested too deep; keep to %d levels", maxDepth)
	default:
		d.problem(n, path, "settings hold no dates and times; write a string in quotes")
	}
	return nil
}

// withSeconds returns the settings with the key seconds set.
func withSeconds(settings []byte, seconds float64) []byte {
	object := objectOf(settings)
	object["seconds"] = seconds
	return marshal(object)
}

// objectOf decodes settings, which may be empty. Numbers keep their digits.
func objectOf(settings []byte) map[string]any {
	object := map[string]any{}
	if len(settings) == 0 {
		return object
	}
	dec := json.NewDecoder(bytes.NewReader(settings))
	dec.UseNumber()
	if err := dec.Decode(&object); err != nil {
		panic(err) // settings are what marshal wrote
	}
	return object
}

// marshal writes JSON without escapes for HTML, because people read settings too.
func marshal(object map[string]any) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(object); err != nil {
		panic(err) // strings, finite numbers, booleans, and maps and slices of them
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
