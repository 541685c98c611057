package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// MaxSnippets is the number of files that a folder of snippets may hold.
const MaxSnippets = 64

// SnippetDir returns the folder of a config file's snippets: conf.d beside a file called stepagent,
// and NAME.d beside a file of another name, so that several agents can have their configs in one
// folder.
func SnippetDir(file string) string {
	name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	if name == "stepagent" {
		name = "conf"
	}
	return filepath.Join(filepath.Dir(file), name+".d")
}

// snippets returns the files of SnippetDir that are read, sorted by name. Other extensions and names
// that begin with a dot are ignored: they belong to editors and package managers. The folder need not
// exist.
func snippets(file string) ([]string, error) {
	dir := SnippetDir(file)
	entries, err := os.ReadDir(dir) // sorted by name
	var path *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, syscall.ENOTDIR):
		err = errors.New("is no folder; it is where snippets of the config belong")
	case errors.As(err, &path):
		err = fmt.Errorf("cannot be read: %w", path.Err)
	}
	if err != nil {
		return nil, err
	}
	var files []string
	for _, entry := range entries {
		if HasFormat(entry.Name()) && !strings.HasPrefix(entry.Name(), ".") {
			files = append(files, filepath.Join(dir, entry.Name()))
		}
	}
	if len(files) > MaxSnippets {
		return nil, fmt.Errorf("%d snippets are too many; keep to %d", len(files), MaxSnippets)
	}
	return files, nil
}

// merge merges the tree of a snippet over that of the files before it, by key, and entries of the
// lists of tables by their names, see namedBy; other lists are replaced as a whole. Replaced values stay in node.under
// and are checked too.
func merge(base, over *node) *node {
	before, after := base.value.(table), over.value.(table)
	if n := after["validators"]; n != nil && before["validators"] == nil {
		if _, ok := n.value.(list); ok {
			before["validators"] = defaultValidators()
		}
	}
	return mergeAt(base, over, "")
}

// mergeAt is merge at a path.
func mergeAt(base, over *node, path string) *node {
	switch after := over.value.(type) {
	case table:
		before, ok := base.value.(table)
		if !ok {
			break
		}
		for key, n := range after {
			if below := before[key]; below != nil {
				n = mergeAt(below, n, join(path, key))
			}
			before[key] = n
		}
		return base.placedAs(over)
	case list:
		before, ok := base.value.(list)
		if !ok || namedBy(path) == nil {
			break
		}
		base.value = mergeEntries(before, after, path)
		return base.placedAs(over)
	}
	over.under = base
	return over
}

// namedBy returns the keys that name an entry of the list at a path, the first that it has; nil for a
// list that is replaced as a whole.
func namedBy(path string) []string {
	switch path {
	case "validators":
		return []string{"as", "name"}
	case "tls.clients":
		return []string{"match"}
	case "listeners":
		return []string{"address"}
	}
	return nil
}

// mergeEntries changes the entries that have the name of one in over, and appends the rest. It
// changes an entry once: Load reports a second one of the same name.
func mergeEntries(base, over list, path string) list {
	merged, places, keys := slices.Clone(base), map[string]int{}, namedBy(path)
	for i, n := range slices.Backward(merged) {
		places[n.entryName(keys)] = i
	}
	for _, n := range over {
		name := n.entryName(keys)
		i, ok := places[name]
		if !ok || name == "" {
			merged = append(merged, n)
			continue
		}
		delete(places, name)
		merged[i] = mergeAt(merged[i], n, elementPath(path, i))
	}
	return merged
}

// entryName returns the name of an entry of a list, under the first of the keys that it has; empty
// for an invalid entry.
func (n *node) entryName(keys []string) string {
	for _, key := range keys {
		if child := n.child(key); child != nil {
			name, _ := child.value.(string)
			return name
		}
	}
	return ""
}

// placedAs returns a default with the place of the snippet that changes it.
func (n *node) placedAs(over *node) *node {
	if n.from == nil {
		n.from, n.line, n.column = over.from, over.line, over.column
	}
	return n
}

// defaultValidators returns the default list as the tree of a file.
func defaultValidators() *node {
	var entries list
	for _, v := range Default().Validators {
		entries = append(entries, &node{value: table{"name": {value: v.Name}}})
	}
	return &node{value: entries}
}
