package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// timeoutKey is the name for the seconds of min_timeout in the environment and in flags. Files do not
// have it.
const timeoutKey = "timeout"

// minTimeoutSeconds is the kind of timeoutKey.
type minTimeoutSeconds struct{ seconds }

func (minTimeoutSeconds) fromFile(any) (any, error) {
	return nil, fmt.Errorf("the file has no such key; give the validator %s its seconds: "+
		"settings.seconds in its entry of validators", minTimeout)
}

// An overlay has the values that the environment or the flags set.
type overlay struct {
	scalars  map[string]any
	sources  map[string]string // the variable or the flag of each key
	problems Problems
	injected []string // variables that are ignored
}

func newOverlay() *overlay {
	return &overlay{scalars: map[string]any{}, sources: map[string]string{}}
}

func (o *overlay) problem(source, key, format string, args ...any) {
	o.problems = append(o.problems, Problem{
		Place: Place{Source: source}, Key: key, Message: fmt.Sprintf(format, args...)})
}

// set sets a key from its text.
func (o *overlay) set(source string, k *key, text string) {
	value, err := k.kind.fromText(text)
	if err != nil {
		o.problem(source, k.name, "%v", err)
		return
	}
	o.scalars[k.name], o.sources[k.name] = value, source
}

// prefix is the prefix of the program's variables.
func (s *schema) prefix() string { return strings.ToUpper(s.program) + "_" }

// variable returns the name of a key's variable.
func (s *schema) variable(name string) string {
	return s.prefix() + strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
}

// fromEnviron reads the variables of the program. Empty ones are ignored, so that a service file or a
// container can leave a variable blank.
func (s *schema) fromEnviron(environ []string) *overlay {
	o := newOverlay()
	byVariable, known := map[string]*key{}, []string{}
	for i := range s.keys {
		k := &s.keys[i]
		byVariable[s.variable(k.name)] = k
		known = append(known, s.variable(k.name))
	}
	file := s.variable("config") // which the command reads before
	known = append(known, file)
	texts := map[string]string{} // the last of several with one name counts, as in os/exec
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, s.prefix()) && name != file {
			texts[name] = text
		}
	}
	inFileOnly := func(name string) bool {
		return slices.ContainsFunc(s.tables, func(table string) bool { return s.variable(table) == name })
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		k := byVariable[name]
		switch {
		case injected(name, texts[name]):
			o.injected = append(o.injected, name)
		case k != nil && texts[name] != "":
			o.set(name, k, texts[name])
		case k != nil: // empty
		case inFileOnly(name):
			o.problem(name, "", "is set in the file only; unset the variable")
		default:
			hint := didYouMean(name, known)
			if hint == "" {
				hint = "; unset it"
			}
			o.problem(logging.Clean(name), "", "%s knows no such variable%s", s.program, hint)
		}
	}
	return o
}

// fromFlags reads the values of flags, by key.
func (s *schema) fromFlags(set map[string]string) *overlay {
	o := newOverlay()
	for _, name := range slices.Sorted(maps.Keys(set)) {
		flag := "--" + flagName(name)
		if k := s.find(name); k != nil {
			o.set(flag, k, set[name])
		} else {
			o.problem(flag, name, "the config has no key %s%s", show(name), didYouMean(name, s.fileNames()))
		}
	}
	return o
}
