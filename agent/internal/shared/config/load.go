package config

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Sources are the places that a config is read from. What comes later in the struct wins.
type Sources struct {
	// File is the path of a .toml, .yaml or .yml file, or StandardInput for Input; empty for none.
	// The files in its SnippetDir are merged over it.
	File string
	// Format is the format of the file, one of Formats; empty means that of its extension. With a
	// Format the file may be a pipe.
	Format string
	// Input is read when File is StandardInput.
	Input io.Reader
	// AnyOwner accepts a file that users other than root and the agent's can change. It is for
	// commands that execute nothing that the file names.
	AnyOwner bool
	// Environ is the environment in the form of os.Environ. It has a variable STEPAGENT_KEY for each
	// scalar key, and STEPAGENT_TIMEOUT, in seconds, for settings.seconds of the validator
	// min_timeout. Empty variables are ignored, and so are those that Kubernetes sets for a service
	// called stepagent.
	Environ []string
	// Set has the values of flags by key: "port", "log.level", or "timeout" as above. The flag of a
	// key has its name, with - for . and _.
	Set map[string]string
}

// Load reads the sources and merges them over Default. It reads no files but the config file and its
// snippets. The error is Problems, with all problems of all sources.
func Load(s Sources) (*Loaded, error) {
	if s.File == "" {
		return load(s, nil, nil)
	}
	contents, problems := openAll(s)
	if contents == nil {
		return nil, problems
	}
	return load(s, contents, problems)
}

// load is Load with the files read. problems are those of files that could not be read.
func load(s Sources, contents []*content, problems Problems) (*Loaded, error) {
	l := &Loaded{Config: Default(), files: contents, sources: map[string]string{}}
	if dir := stateDirectory(s.Environ); dir != "" {
		l.stateDir = dir
		l.Record.Dir = filepath.Join(dir, "record")
		l.Session.Dir = filepath.Join(dir, "sessions")
		l.HTTP.TokenFile = filepath.Join(dir, "http-token")
	}
	var fromFile map[string]any
	sound := len(problems) == 0 // the syntax
	for _, c := range contents {
		root, found := c.parse()
		problems = append(problems, found...)
		sound = sound && root != nil
		l.mergeTree(root)
	}
	schema := agentSchema()
	if l.root != nil {
		d := decode(schema, l.root, problems)
		problems, fromFile = d.problems, d.scalars
		l.setLists(d)
	}
	environ, flags := schema.fromEnviron(s.Environ), schema.fromFlags(s.Set)
	l.injected = environ.injected
	if err := schema.merge(&l.Config, fromFile, environ.scalars, flags.scalars); err != nil {
		return nil, fmt.Errorf("merge the config: %w", err)
	}
	for _, o := range []*overlay{environ, flags} {
		problems = append(problems, o.problems...)
		maps.Copy(l.sources, o.sources)
		if seconds, ok := o.scalars[timeoutKey].(Seconds); ok {
			l.setSeconds(float64(seconds))
		}
	}
	if sound {
		problems = l.addFindings(problems)
	}
	if len(problems) > 0 {
		problems.sort(l.Files())
		return nil, problems.first(maxProblems)
	}
	return l, nil
}

// mergeTree merges the tree of a file over those of the files before; nil for wrong syntax.
func (l *Loaded) mergeTree(root *node) {
	switch {
	case root == nil:
	case l.root == nil:
		l.root = root
	default:
		l.root = merge(l.root, root)
	}
}

// setLists sets the lists and tables, which only files have. They replace the defaults as a whole.
func (l *Loaded) setLists(d *decoder) {
	l.ErrorCodes, l.TLS.Clients, l.Listeners = d.errorCodes, d.tlsClients, d.listeners
	if d.validators == nil {
		return
	}
	l.Validators = d.validators
	for i := range l.Validators {
		if v := &l.Validators[i]; v.As == "" {
			v.As = v.Name
		}
	}
}

// stateDirectory returns the folder that systemd gives the service for its state, see
// StateDirectory= in systemd.exec(5); empty when there is none.
func stateDirectory(environ []string) string {
	for _, entry := range slices.Backward(environ) {
		if dirs, ok := strings.CutPrefix(entry, "STATE_DIRECTORY="); ok {
			if dir, _, _ := strings.Cut(dirs, ":"); filepath.IsAbs(dir) {
				return dir
			}
			return ""
		}
	}
	return ""
}

// setSeconds sets the seconds of min_timeout, for --timeout.
func (l *Loaded) setSeconds(seconds float64) {
	for i, v := range l.Validators {
		if v.Name == minTimeout {
			l.Validators[i].Settings = withSeconds(v.Settings, seconds)
		}
	}
}
