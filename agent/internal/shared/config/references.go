package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// A string in the settings of a validator may hold references, anywhere and several: ${file:/PATH} is
// the text of a file without the line break at its end, ${env:NAME} that of a variable of the agent's
// environment, and $${ is ${ itself. So a secret stays out of the config. References are resolved when
// validators are started; a Config has them as they were written.

const (
	referenceStart = "${"
	fileReference  = "file:"
	envReference   = "env:"

	// MaxReferenceBytes is the length of the longest text that a reference stands for, in bytes.
	MaxReferenceBytes = 64 << 10
	// maxSettingsBytes is that of the settings of one validator with their references resolved: a
	// plugin takes 4 MiB for all its validators.
	maxSettingsBytes = 1 << 20
)

// expand returns the text with each reference replaced by what get returns for it. It stops at the
// first error.
func expand(text string, get func(reference string) (string, error)) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, referenceStart)
		if !found {
			out.WriteString(text)
			return out.String(), nil
		}
		if literal, escaped := strings.CutSuffix(before, "$"); escaped {
			out.WriteString(literal + referenceStart)
			text = rest
			continue
		}
		reference, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", errors.New("a reference that begins with ${ has no } at its end; write $${ for ${ itself")
		}
		value, err := get(reference)
		if err != nil {
			return "", err
		}
		out.WriteString(before + value)
		text = after
	}
}

// eachString calls f with each string of a value of JSON and its path, keys in order, and sets it to
// what f returns.
func eachString(value any, path string, f func(path, text string) string) any {
	switch v := value.(type) {
	case string:
		return f(path, v)
	case []any:
		for i := range v {
			v[i] = eachString(v[i], elementPath(path, i), f)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			v[key] = eachString(v[key], join(path, key), f)
		}
	}
	return value
}

// withReferences returns the settings with their strings replaced by what f returns; the settings
// themselves where they have no reference.
func withReferences(settings []byte, path string, f func(path, text string) string) []byte {
	if !bytes.Contains(settings, []byte(referenceStart)) {
		return settings
	}
	return marshal(eachString(objectOf(settings), path, f).(map[string]any))
}

// ResolveSettings returns the validators with their references resolved, and what hides the texts
// that these stand for. It reads the files and the environment at each call. The error is Problems.
func (l *Loaded) ResolveSettings() ([]Validator, *Secrets, error) {
	return l.resolveSettings(os.LookupEnv)
}

func (l *Loaded) resolveSettings(lookup func(name string) (string, bool)) ([]Validator, *Secrets, error) {
	var problems Problems
	r := &resolver{lookup: lookup, texts: map[string]string{}}
	validators := slices.Clone(l.Validators)
	for i, v := range validators {
		size, full := len(v.Settings), false
		validators[i].Settings = withReferences(v.Settings, elementPath("validators", i)+".settings", func(key, text string) string {
			if full {
				return text
			}
			resolved, err := expand(text, r.get)
			if size += len(resolved); err == nil && size > maxSettingsBytes {
				full = true
				err = fmt.Errorf("with their references the settings of this validator are larger than %d bytes; "+
					"refer to smaller files, or let the program read them", maxSettingsBytes)
			}
			if err != nil {
				problems = append(problems, l.Problem(key, err.Error()))
				return text
			}
			return resolved
		})
	}
	if len(problems) > 0 {
		return nil, nil, problems.first(maxProblems)
	}
	return validators, newSecrets(slices.Collect(maps.Values(r.texts))), nil
}

// A resolver reads what references stand for, each once.
type resolver struct {
	lookup func(name string) (string, bool)
	texts  map[string]string // by reference
}

// get returns the text that a reference stands for. Its errors do not say the text.
func (r *resolver) get(reference string) (string, error) {
	if text, ok := r.texts[reference]; ok {
		return text, nil
	}
	text, err := r.read(reference)
	if err != nil {
		return "", err
	}
	r.texts[reference] = text
	return text, nil
}

func (r *resolver) read(reference string) (text string, err error) {
	path, isFile := strings.CutPrefix(reference, fileReference)
	name, isVariable := strings.CutPrefix(reference, envReference)
	switch {
	case isFile:
		if text, err = readSecret(path); err != nil {
			return "", err
		}
	case isVariable && !variableName.matches(name):
		return "", fmt.Errorf("%s is no name of a variable; write a reference such as ${env:TORQUE_TOKEN}", show(name))
	case isVariable:
		if text, _ = r.lookup(name); text == "" {
			return "", fmt.Errorf("the agent's environment has no variable %s, or an empty one; set it, or write the text of a file "+
				"with ${file:/PATH}", name)
		}
	default:
		scheme, _, _ := strings.Cut(reference, ":")
		return "", fmt.Errorf("%s is no reference%s; write ${file:/PATH}, ${env:NAME}, or $${ for ${ itself",
			show(referenceStart+reference+"}"), didYouMean(scheme, []string{"file", "env"}))
	}
	if !utf8.ValidString(text) {
		_, where, _ := strings.Cut(reference, ":")
		return "", fmt.Errorf("what %s holds is not UTF-8, and settings hold text alone", where)
	}
	return text, nil
}

// variableName is the syntax of a variable of the environment, see environ(7).
var variableName = syntax{lower + upper + "_", lower + upper + digits + "_", 256}

// readSecret returns the text of a file without the line break at its end.
func readSecret(path string) (string, error) {
	if wrong := checkPath(path, "/etc/stepagent/token"); wrong != "" {
		return "", errors.New(wrong)
	}
	if err := (NamedFile{Path: path, Secret: true}).trusted(); err != nil {
		return "", err
	}
	data, err := readFile(path, fileKind{maxBytes: MaxReferenceBytes}, false)
	switch {
	case errors.Is(err, errNoFile):
		return "", fmt.Errorf("there is no file %s; write the text into it, or correct the path", path)
	case err != nil:
		return "", fmt.Errorf("%s %w", path, err)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		return "", fmt.Errorf("%s is empty; write the text into it, or take the reference out", path)
	}
	return text, nil
}
