package config

import (
	"reflect"
	"slices"
)

// A Loaded is a Config with the places of its keys. It is safe for concurrent reads.
type Loaded struct {
	Config
	files    []*content
	root     *node             // of all files together; nil without one
	sources  map[string]string // the variable or flag of each key that one has set
	injected []string          // variables that were ignored
	stateDir string
}

// StateDir returns the folder that systemd gives the service for its state; empty for none.
func (l *Loaded) StateDir() string { return l.stateDir }

// File returns the absolute path of the file; empty without one.
func (l *Loaded) File() string {
	if len(l.files) == 0 {
		return ""
	}
	return l.files[0].file
}

// Files returns the absolute paths of all files that were read: File, then its snippets in the order
// in which they are merged.
func (l *Loaded) Files() []string {
	var files []string
	for _, c := range l.files {
		files = append(files, c.file)
	}
	return files
}

// Watched returns the absolute paths whose change may change this config: the config file, its
// snippets, their folder, the validators' programs and the files that it names, each once.
func (l *Loaded) Watched() (paths []string) {
	if file := l.File(); file != "" {
		paths = append(l.Files(), SnippetDir(file))
	}
	add := func(path string) {
		if path != "" && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	for _, v := range l.Validators {
		add(v.Path)
	}
	for _, f := range l.NamedFiles() {
		add(f.Path)
	}
	return paths
}

// Injected returns the ignored variables that begin with STEPAGENT_ and come from Kubernetes or
// Docker.
func (l *Loaded) Injected() []string { return l.injected }

// isKeyless reports whether the file, without its snippets, has comments only.
func (l *Loaded) isKeyless() bool { return len(l.files) > 0 && l.files[0].keyless }

// Place returns the place of a key such as "validators[1].settings.seconds", or that of the nearest
// table around it. It is the zero Place for a default.
func (l *Loaded) Place(key string) Place {
	place, _ := l.place(key)
	return place
}

// Problem returns a Problem with the place of the key, such as one that a validator reports about
// its settings.
func (l *Loaded) Problem(key, message string) Problem {
	return Problem{Place: l.Place(key), Key: key, Message: message}
}

// place returns the place of the key, and whether a source sets the key itself.
func (l *Loaded) place(key string) (place Place, exact bool) {
	if source, ok := l.sources[l.nameFor(key)]; ok {
		return Place{Source: source}, true
	}
	if l.root == nil {
		return Place{}, false
	}
	n, exact := l.root.find(key)
	if n == l.root {
		return Place{}, false
	}
	return n.place(), exact
}

// nameFor returns the name under which the environment and the flags set a key: timeout for
// the seconds of min_timeout, else the key itself.
func (l *Loaded) nameFor(key string) string {
	for i, v := range l.Validators {
		if v.Name == minTimeout && key == elementPath("validators", i)+".settings.seconds" {
			return timeoutKey
		}
	}
	return key
}

// addFindings adds the findings of the merged config, except for keys that have a problem already.
func (l *Loaded) addFindings(problems Problems) Problems {
	already := slices.Clone(problems)
	for _, f := range l.findings() {
		if slices.ContainsFunc(f.keys, already.about) {
			continue
		}
		p := l.Problem(f.keys[0], f.message)
		for _, key := range f.keys {
			if place, exact := l.place(key); exact {
				p.Place, p.Key = place, key
				break
			}
		}
		problems = append(problems, p)
	}
	source, said := l.sources[timeoutKey]
	set := slices.ContainsFunc(l.Validators, func(v Validator) bool { return v.Name == minTimeout })
	if said && !set && !already.about("validators") {
		problems = append(problems, Problem{Place: Place{Source: source}, Key: timeoutKey,
			Message: "sets the seconds of the validator min_timeout, and the config names no such validator; " +
				`add one with name = "min_timeout", or leave this out`})
	}
	return problems
}

// Emptied returns an error if next's file has comments only and old's had keys, and nil otherwise. A
// file that was truncated within its first comment looks like one that means the defaults, and a
// reload would drop the config in force.
func Emptied(old, next *Loaded) error {
	if !next.isKeyless() || old.isKeyless() || old.root == nil {
		return nil
	}
	return Problems{{Place: Place{File: next.File()}, Message: "has comments only, and the config in force has keys: " +
		"all of them would get their defaults; restart the agent if that is meant, or write one key, such as the port"}}
}

// NotReloadable returns the keys that differ between the configs and cannot change while the agent
// runs; nil when a reload is possible.
func NotReloadable(old, next Config) (changed []string) {
	before := agentSchema().values(&old)
	agentSchema().fields(&next, func(k *key, field reflect.Value) {
		if k.tag.Get("restart") != "" && before[k.name] != field.Interface() {
			changed = append(changed, k.name)
		}
	})
	if old.Session.Store == StoreNATS && !reflect.DeepEqual(old.NATS, next.NATS) {
		changed = append(changed, "nats") // the store keeps its connection
	}
	switch {
	case !slices.Equal(old.Listeners, next.Listeners):
		changed = append(changed, "listeners")
	case old.TLS.Mode == next.TLS.Mode && !slices.Equal(old.modes(), next.modes()):
		changed = append(changed, "tls.certificate") // the first, or none any more, where a listener says auto
	}
	return changed
}
