package config

import (
	"fmt"
	"maps"
	"path/filepath"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
)

// Sources are the places that a config is read from. What comes later in the struct wins.
type Sources struct {
	// File is the path of a .toml, .yaml or .yml file; empty for none.
	File string
	// Environ is the environment in the form of os.Environ. Of it the variables count that
	// begin with STEPAGENT_: one for each scalar key, and STEPAGENT_TIMEOUT, in seconds, for
	// settings.seconds of the validator min_timeout. An empty one counts as not set.
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

// Load reads the sources and merges them over Default. It reads nothing but the file. The
// error is Problems: all that is wrong.
func Load(s Sources) (*Loaded, error) {
	if s.File == "" {
		return load(s, nil)
	}
	c, err := open(s.File)
	if err != nil {
		return nil, Problems{{Place: Place{File: s.File}, Message: err.Error()}}
	}
	return load(s, c)
}

// load is Load after the file is read; c is nil without one.
func load(s Sources, c *content) (*Loaded, error) {
	l := &Loaded{Config: Default(), file: s.File, sources: map[string]string{}}
	var problems Problems
	var fromFile map[string]any
	sound := true // the syntax
	if c != nil {
		l.root, problems = parse(c.data, c.read)
		if sound = l.root != nil; sound {
			d := decode(l.root, problems)
			problems, fromFile = d.problems, d.scalars
			l.takeLists(d, c.folder)
		}
		for i := range problems {
			problems[i].File = s.File
		}
	}
	environ, flags := fromEnviron(s.Environ), fromFlags(s.Set)
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
		problems.sort()
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

// takeLists takes what is not merged: a list or table of the file stands for the default as
// a whole.
func (l *Loaded) takeLists(d *decoder, folder string) {
	l.ErrorCodes = d.errorCodes
	if d.validators == nil {
		return
	}
	l.Validators = d.validators
	for i := range l.Validators {
		v := &l.Validators[i]
		if v.As == "" {
			v.As = v.Name
		}
		if v.Path != "" && !filepath.IsAbs(v.Path) {
			v.Path = filepath.Join(folder, v.Path)
		}
	}
}

// setSeconds does what --timeout is for.
func (l *Loaded) setSeconds(seconds float64) {
	for i, v := range l.Validators {
		if v.Name == minTimeout {
			l.Validators[i].Settings = withSeconds(v.Settings, seconds)
		}
	}
}
