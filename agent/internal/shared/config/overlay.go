package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/protocol"
)

const (
	envPrefix = "STEPAGENT_"
	// configVariable names the config file; the command reads it before Load.
	configVariable = envPrefix + "CONFIG"
	// timeoutKey is no key of the file: it stands for the seconds of min_timeout.
	timeoutKey = "timeout"
)

// An overlay is what the environment or the flags say, over the file.
type overlay struct {
	scalars map[string]any
	// seconds are those of min_timeout; nil when not said.
	seconds *float64
	// sources has the variable or the flag of each key.
	sources  map[string]string
	problems Problems
	// injected are variables that were passed over.
	injected []string
}

func newOverlay() *overlay {
	return &overlay{scalars: map[string]any{}, sources: map[string]string{}}
}

func (o *overlay) problem(source, key, format string, args ...any) {
	o.problems = append(o.problems, Problem{
		Place: Place{Source: source}, Key: key, Message: fmt.Sprintf(format, args...)})
}

// set takes the text of a key, which may be timeout.
func (o *overlay) set(source, key, text string) {
	if key == timeoutKey {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || !(seconds >= 0 && seconds <= protocol.MaxWait.Seconds()) || math.Signbit(seconds) {
			o.problem(source, key, "%s is no number of seconds; write one such as 5 or 0.5, without a unit",
				show(text))
			return
		}
		o.seconds, o.sources[key] = &seconds, source
		return
	}
	value, err := kindOf(key).fromText(text)
	if err != nil {
		o.problem(source, key, "%v", err)
		return
	}
	o.scalars[key], o.sources[key] = value, source
}

// fromEnviron reads the variables that begin with STEPAGENT_. An empty one counts as not
// set, so that a service file or a container can leave a variable blank.
func fromEnviron(environ []string) *overlay {
	o := newOverlay()
	byVariable, names := map[string]string{}, []string{}
	for _, key := range append(keyNames(), timeoutKey) {
		name := envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
		byVariable[name] = key
		names = append(names, name)
	}
	texts := map[string]string{} // the last of several with one name counts, as in os/exec
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, envPrefix) && name != configVariable {
			texts[name] = text
		}
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		key, known := byVariable[name]
		switch {
		case injected(name, texts[name]):
			o.injected = append(o.injected, name)
		case known && texts[name] != "":
			o.set(name, key, texts[name])
		case known: // empty
		case name == envPrefix+"VALIDATORS" || name == envPrefix+"ERROR_CODES":
			o.problem(name, "", "is set in the file only; unset the variable")
		default:
			hint := didYouMean(name, names)
			if hint == "" {
				hint = "; unset it"
			}
			o.problem(logging.Clean(name), "", "stepagent knows no such variable%s", hint)
		}
	}
	return o
}

// fromFlags reads what flags have set, by key.
func fromFlags(set map[string]string) *overlay {
	o := newOverlay()
	for _, key := range slices.Sorted(maps.Keys(set)) {
		flag := "--" + strings.NewReplacer(".", "-", "_", "-").Replace(key)
		if key != timeoutKey && kindOf(key) == nil {
			o.problem(flag, key, "the config has no key %s%s", show(key), didYouMean(key, keyNames()))
			continue
		}
		o.set(flag, key, set[key])
	}
	return o
}
