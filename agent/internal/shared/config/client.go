package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// clientPrefix begins the environment variables of stepctl.
const clientPrefix = "STEPCTL_"

// ClientFileVariable names the file of the client's settings.
const ClientFileVariable = clientPrefix + "CONFIG"

// A ClientKey is a setting of stepctl. The key stands in the file, its variable is STEPCTL_ and
// the name in upper case, and its flag is the name with - for _.
type ClientKey struct {
	Name    string
	Type    ClientType
	Default string
	// Check says what is wrong with a value, as the flag would.
	Check func(text string) error
}

// ClientSources are the places that the client's settings are read from. What comes later in
// the struct wins.
type ClientSources struct {
	Keys []ClientKey
	// File is a .toml, .yaml or .yml file; empty for none.
	File string
	// Environ is the environment in the form of os.Environ.
	Environ []string
	// Set is what flags have set, by key.
	Set map[string]string
}

// A ClientSetting is a setting in force.
type ClientSetting struct {
	Key, Text string
	// Place is where it was set; zero for a default.
	Place Place
}

// Client is the settings in force.
type Client struct {
	// Settings has one for each key, in the order of the keys.
	Settings []ClientSetting
	// Ignored are the variables that begin like those of stepctl and are set by Kubernetes or
	// by Docker's links, see injected.
	Ignored []string
}

// LoadClient reads the sources strictly. The error is Problems: all that is wrong.
func LoadClient(s ClientSources) (Client, error) {
	found := map[string]ClientSetting{}
	problems := s.fromFile(found)
	ignored, wrong := s.fromEnviron(found)
	problems = append(problems, wrong...)
	client := Client{Ignored: ignored}
	for _, key := range s.Keys {
		setting, ok := found[key.Name]
		if !ok {
			setting = ClientSetting{Key: key.Name, Text: key.Default}
		}
		if text, ok := s.Set[key.Name]; ok { // its flag has checked it
			setting = ClientSetting{key.Name, text, Place{Source: "--" + strings.ReplaceAll(key.Name, "_", "-")}}
		}
		client.Settings = append(client.Settings, setting)
	}
	if len(problems) > 0 {
		return Client{}, problems.first(maxProblems)
	}
	return client, nil
}

// fromFile adds what the file says. A file without a key says nothing, and is sound.
func (s ClientSources) fromFile(found map[string]ClientSetting) (problems Problems) {
	if s.File == "" {
		return nil
	}
	read, err := parserFor(s.File, "")
	if err != nil {
		return Problems{{Place: Place{File: s.File}, Message: err.Error()}}
	}
	data, err := readFile(s.File, false)
	if err != nil {
		return Problems{{Place: Place{File: s.File}, Message: err.Error()}}
	}
	root, problems := parseText(data, read)
	if root != nil {
		entries := root.value.(table)
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			n := entries[name]
			place := Place{File: s.File, Line: n.line, Column: n.column}
			text, err := s.fromNode(name, n)
			if err != nil {
				problems = append(problems, Problem{Place: place, Key: join("", name), Message: err.Error()})
				continue
			}
			found[name] = ClientSetting{name, text, place}
		}
	}
	for i := range problems {
		problems[i].File = s.File
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return problems
}

// fromNode returns the text of a value of the file.
func (s ClientSources) fromNode(name string, n *node) (string, error) {
	at := slices.IndexFunc(s.Keys, func(k ClientKey) bool { return k.Name == name })
	if at < 0 {
		names := s.names()
		if hint := didYouMean(name, names); hint != "" {
			return "", errors.New("unknown key" + hint)
		}
		return "", errors.New("unknown key; " + only(names))
	}
	text, err := s.Keys[at].Type.text(n.value)
	if err != nil {
		return "", err
	}
	return text, s.Keys[at].check(text)
}

// fromEnviron adds what the environment says. An empty variable counts as not set.
func (s ClientSources) fromEnviron(found map[string]ClientSetting) (ignored []string, problems Problems) {
	keys, known := map[string]ClientKey{}, []string{ClientFileVariable}
	for _, key := range s.Keys {
		variable := clientPrefix + strings.ToUpper(key.Name)
		keys[variable], known = key, append(known, variable)
	}
	texts := map[string]string{} // the last of several with one name counts, as in os/exec
	for _, entry := range s.Environ {
		name, text, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, clientPrefix) && name != ClientFileVariable {
			texts[name] = text
		}
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		key, ok := keys[name]
		place := Place{Source: logging.Clean(name)}
		switch text := texts[name]; {
		case injected(name, text):
			ignored = append(ignored, name)
		case ok && text == "":
		case ok:
			if err := key.check(text); err != nil {
				problems = append(problems, Problem{Place: place, Key: key.Name, Message: err.Error()})
				continue
			}
			found[key.Name] = ClientSetting{key.Name, text, place}
		default:
			hint := didYouMean(name, known)
			if hint == "" {
				hint = "; unset it"
			}
			problems = append(problems, Problem{Place: place, Message: "stepctl knows no such variable" + hint})
		}
	}
	return ignored, problems
}

func (s ClientSources) names() []string {
	var names []string
	for _, key := range s.Keys {
		names = append(names, key.Name)
	}
	return names
}

func (k ClientKey) check(text string) error {
	if err := k.Check(text); err != nil {
		return fmt.Errorf("wrong value %s: %w", show(text), err)
	}
	return nil
}

// ClientFile returns the file of the client's settings where none is named: config.toml,
// config.yaml or config.yml in the folder stepctl of the user's folder for settings, which is
// $XDG_CONFIG_HOME or ~/.config on Linux. It is empty where there is none.
func ClientFile() (string, error) {
	folder, err := os.UserConfigDir()
	if err != nil {
		return "", nil //nolint:nilerr // a user without a home has no such file
	}
	var files []string
	for _, name := range []string{"config.toml", "config.yaml", "config.yml"} {
		path := filepath.Join(folder, "stepctl", name)
		_, err := os.Lstat(path)
		switch {
		case err == nil:
			files = append(files, path)
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		case errors.Is(err, fs.ErrPermission):
			return "", nil // the folder is another user's: some ways to become a user keep $HOME
		default:
			return path, nil // reading it says what is wrong
		}
	}
	switch len(files) {
	case 0:
		return "", nil
	case 1:
		return files[0], nil
	default:
		return "", Problems{{Place: Place{File: files[0]}, Message: fmt.Sprintf("there is %s as well; keep one of the two", files[1])}}
	}
}
