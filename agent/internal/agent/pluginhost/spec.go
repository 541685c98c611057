package pluginhost

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/process"
	"github.com/stepagent/stepagent/agent/internal/agent/verdictcache"
	"github.com/stepagent/stepagent/plugins/sdk"
)

// Limits bound what one plugin process may take of the machine.
type Limits = process.Limits

// A Spec asks for one validator.
type Spec struct {
	// Name is the name of this instance; unique in a set.
	Name string
	// Validator is the name of the validator in its plugin.
	Validator string
	// Path is the absolute path of the plugin's file; empty for the bundled plugin.
	Path string
	// Checksum is what the file's must be, "sha256:" and 64 hexadecimal digits; empty for any.
	Checksum string
	// Args are the arguments of the plugin; not used for the bundled one.
	Args []string
	// Settings is one JSON object, or empty.
	Settings []byte
	// Hide replaces the secrets of the settings in what the plugin prints and reports, for the log and
	// for errors; nil for none. Neighbours that share a process have that of the first.
	Hide func(text string) string
	// Limits bound the process. Neighbours that are to share one must have the same.
	Limits Limits
	// Cache says which verdicts are kept and judged again. Neighbours that share a process have that
	// of the first. Its Bytes are those of the whole set.
	Cache verdictcache.Options
	// SendAll sends undeclared inputs as well, to check in a conformance test whether they matter.
	SendAll bool
}

// A SpecError says what is wrong with one Spec.
type SpecError struct {
	// Index is that of the spec in the call of Start. An error of a process that several specs
	// share has the index of the first.
	Index int
	// Key is the key in the config: "name", "validator", "path", "checksum", or "settings" with the
	// path of the key in them, such as "settings.plan[2].step_id". It is empty when the bundled
	// plugin does not start.
	Key string
	// Problem says in one line what is wrong and what to do.
	Problem string
}

func (e *SpecError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("validator %d: %s", e.Index+1, e.Problem)
	}
	return fmt.Sprintf("validator %d: %s: %s", e.Index+1, e.Key, e.Problem)
}

// Bare returns the error without its place in a config.
func (e *SpecError) Bare() string {
	if strings.HasPrefix(e.Key, "settings") {
		return e.Key + ": " + e.Problem
	}
	return e.Problem
}

// A member is a spec and its index.
type member struct {
	Spec
	index int
}

func (m member) wrong(key, format string, args ...any) error {
	return &SpecError{Index: m.index, Key: m.hide(key), Problem: m.hide(fmt.Sprintf(format, args...))}
}

func (s Spec) hide(text string) string {
	if s.Hide == nil {
		return text
	}
	return s.Hide(text)
}

// hidden returns the error without secrets in its text; nil for nil.
func (s Spec) hidden(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if shown := s.hide(text); shown != text {
		return hiddenError{err, shown}
	}
	return err
}

// A hiddenError is an error with another text.
type hiddenError struct {
	error
	text string
}

func (e hiddenError) Error() string { return e.text }
func (e hiddenError) Unwrap() error { return e.error }

// checkSpecs finds the mistakes that show before a start.
func checkSpecs(specs []Spec) error {
	var wrong []error
	seen := map[string]bool{}
	for i, s := range specs {
		m := member{Spec: s, index: i}
		switch {
		case s.Name == "":
			wrong = append(wrong, m.wrong("name", "a validator needs a name"))
		case seen[s.Name]:
			wrong = append(wrong, m.wrong("name", "there are two validators with the name %q; give each a name of its own", s.Name))
		}
		seen[s.Name] = true
		if s.Path != "" && !filepath.IsAbs(s.Path) {
			wrong = append(wrong, m.wrong("path", "%q is not an absolute path", s.Path))
		}
	}
	return errors.Join(wrong...)
}

// neighbours splits the specs into runs that share a process: adjacent specs of the same plugin with
// the same arguments. Specs further apart do not share one, so that verdicts keep the config's order.
func neighbours(specs []Spec) [][]member {
	var all [][]member
	for i, s := range specs {
		m := member{Spec: s, index: i}
		if n := len(all); n > 0 && len(all[n-1]) < sdk.MaxInstances && samePlugin(all[n-1][0].Spec, s) {
			all[n-1] = append(all[n-1], m)
			continue
		}
		all = append(all, []member{m})
	}
	return all
}

func samePlugin(a, b Spec) bool {
	return a.Path == b.Path && a.Checksum == b.Checksum && a.Limits == b.Limits &&
		(a.Path == "" || slices.Equal(a.Args, b.Args))
}

// label names a plugin that has not been asked its name yet.
func (s Spec) label() string {
	if s.Path == "" {
		return "bundled"
	}
	return filepath.Base(s.Path)
}
