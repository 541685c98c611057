package config

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
)

// Sources are the places that a config is read from. What comes later in the struct wins.
type Sources struct {
	// File is the path of a .toml, .yaml or .yml file, StandardInput for what Input has; empty for
	// none. The files of its SnippetDir are laid over it.
	File string
	// Format is that of the file, one of Formats, where its name does not tell it. With it the
	// file may be a pipe.
	Format string
	// Input is read when File is StandardInput.
	Input io.Reader
	// AnyOwner has a file taken that others than root and the agent's user could change. It is for
	// commands that execute nothing of it.
	AnyOwner bool
	// Environ is the environment in the form of os.Environ. Of it the variables count that
	// begin with STEPAGENT_: one for each scalar key, and STEPAGENT_TIMEOUT, in seconds, for
	// settings.seconds of the validator min_timeout. An empty one counts as not set, and so do
	// those that Kubernetes makes for a service of that name.
	Environ []string
	// Set is what flags have set, by key: "port", "log.level", or "timeout" as above. The
	// flag of a key has its name, with - for . and _.
	Set map[string]string
}

// perAddress is the limits of what one address may have, each by its key, with those of what
// all may, which bound them.
func perAddress() map[string]string {
	return map[string]string{
		"limits.connections_per_address": "limits.connections",
		"limits.sessions_per_address":    "limits.sessions",
	}
}

// tagName is the struct tag that holds the keys of a Config.
const tagName = "config"

// Load reads the sources and merges them over Default. It reads nothing but the file and its
// snippets. The error is Problems: all that is wrong.
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

// load is Load after the files are read, but for those that have problems already.
func load(s Sources, contents []*content, problems Problems) (*Loaded, error) {
	l := &Loaded{Config: Default(), files: contents, sources: map[string]string{}}
	if dir := stateDirectory(s.Environ); dir != "" {
		l.Record.Dir = filepath.Join(dir, "record")
	}
	var fromFile map[string]any
	sound := len(problems) == 0 // the syntax
	for _, c := range contents {
		root, found := parse(c.data, c.read)
		for i := range found {
			found[i].File = c.file
		}
		problems = append(problems, found...)
		sound = sound && root != nil
		l.lay(root, c)
	}
	if l.root != nil {
		d := decode(l.root, problems)
		problems, fromFile = d.problems, d.scalars
		l.takeLists(d)
	}
	environ, flags := fromEnviron(s.Environ), fromFlags(s.Set)
	l.injected = environ.injected
	if err := l.mergeScalars(fromFile, environ.scalars, flags.scalars); err != nil {
		return nil, fmt.Errorf("merge the config: %w", err)
	}
	for _, o := range []*overlay{environ, flags} {
		problems = append(problems, o.problems...)
		maps.Copy(l.sources, o.sources)
		if o.seconds != nil {
			l.setSeconds(*o.seconds)
		}
	}
	if sound {
		problems = l.judge(problems)
	}
	if len(problems) > 0 {
		problems.sort(l.Files())
		return nil, problems.first(maxProblems)
	}
	return l, nil
}

// mergeScalars lays flags over the environment over the file over the defaults. Every value
// has the type of its field already, so nothing is converted on the way.
func (l *Loaded) mergeScalars(file, environ, flags map[string]any) error {
	layers := viper.New()
	for key, value := range l.scalars() {
		layers.SetDefault(key, value)
	}
	for _, scalars := range []map[string]any{file, environ} {
		layer := viper.New()
		for key, value := range scalars {
			layer.Set(key, value)
		}
		if err := layers.MergeConfigMap(layer.AllSettings()); err != nil {
			return err
		}
	}
	for key, value := range flags {
		layers.Set(key, value)
	}
	// A lower limit for all is one for those of an address too, unless somebody has set that
	// as well.
	for each, all := range perAddress() {
		if limit := layers.GetInt(all); limit < layers.GetInt(each) {
			layers.SetDefault(each, limit)
		}
	}
	return layers.UnmarshalExact(&l.Config, func(c *mapstructure.DecoderConfig) {
		c.TagName, c.WeaklyTypedInput, c.DecodeHook = tagName, false, nil
	})
}

// lay puts the tree of a file over those of the files before; nil is one with wrong syntax.
func (l *Loaded) lay(root *node, c *content) {
	if root == nil {
		return
	}
	root.writtenIn(c)
	c.keyless = len(root.value.(table)) == 0
	if l.root == nil {
		l.root = root
		return
	}
	l.root = merge(l.root, root)
}

// takeLists takes what neither the environment nor flags have: the files' lists and tables
// stand for the defaults as a whole.
func (l *Loaded) takeLists(d *decoder) {
	l.ErrorCodes = d.errorCodes
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

// setSeconds does what --timeout is for.
func (l *Loaded) setSeconds(seconds float64) {
	for i, v := range l.Validators {
		if v.Name == minTimeout {
			l.Validators[i].Settings = withSeconds(v.Settings, seconds)
		}
	}
}
