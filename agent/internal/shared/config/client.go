package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ClientFileVariable names the file of the client's settings.
const ClientFileVariable = "STEPCTL_CONFIG"

// A ClientKey is a setting of stepctl. Its name is the key in the file; its variable is STEPCTL_ and
// the name in upper case, its flag the name with - for _.
type ClientKey struct {
	Name    string
	Type    ClientType
	Default string
	// Check returns the error that the flag would return for a value.
	Check func(text string) error
}

// ClientSources are the sources of the client's settings. Later fields override earlier ones.
type ClientSources struct {
	Keys []ClientKey
	// File is a .toml, .yaml or .yml file; empty for none.
	File string
	// Environ is the environment in the form of os.Environ.
	Environ []string
	// Set has the values of flags by key. The flags have checked them.
	Set map[string]string
}

// A ClientSetting is a setting in force.
type ClientSetting struct {
	Key, Text string
	// Place is the place of its value; zero for a default.
	Place Place
}

// Client is the settings in force.
type Client struct {
	// Settings has one for each key, in the order of the keys.
	Settings []ClientSetting
	// Ignored are the variables with the prefix of stepctl that Kubernetes or Docker sets, see
	// injected.
	Ignored []string
}

// LoadClient reads the sources strictly. The error is Problems, with all problems of all sources.
func LoadClient(s ClientSources) (Client, error) {
	schema := &schema{program: "stepctl"}
	for _, k := range s.Keys {
		schema.keys = append(schema.keys, key{name: k.Name, kind: clientKind{k.Type, k.Check}, byDefault: k.Default})
	}
	file, problems := schema.fromFile(s.File)
	environ := schema.fromEnviron(s.Environ)
	if problems = append(problems, environ.problems...); len(problems) > 0 {
		problems.sort([]string{s.File})
		return Client{}, problems.first(maxProblems)
	}
	client := Client{Ignored: environ.injected}
	for _, k := range schema.keys {
		setting := ClientSetting{Key: k.name, Text: k.byDefault.(string)}
		if value, ok := file.scalars[k.name]; ok {
			setting.Text, setting.Place = value.(string), file.places[k.name]
		}
		if value, ok := environ.scalars[k.name]; ok {
			setting.Text, setting.Place = value.(string), Place{Source: environ.sources[k.name]}
		}
		if text, ok := s.Set[k.name]; ok {
			setting.Text, setting.Place = text, Place{Source: "--" + flagName(k.name)}
		}
		client.Settings = append(client.Settings, setting)
	}
	return client, nil
}

// fromFile decodes a file with scalars only. It may be empty.
func (s *schema) fromFile(file string) (*decoder, Problems) {
	if file == "" {
		return &decoder{}, nil
	}
	c := &content{file: file, mayBeEmpty: true}
	if err := c.open("", true); err != nil {
		return &decoder{}, Problems{{Place: Place{File: file}, Message: err.Error()}}
	}
	root, problems := c.parse()
	if root == nil {
		return &decoder{}, problems
	}
	d := decode(s, root, problems)
	return d, d.problems
}

// ClientFile returns the default file of the client's settings: config.toml, config.yaml or
// config.yml in the folder stepctl of the user's config directory, which is $XDG_CONFIG_HOME or
// ~/.config on Linux; empty if none exists.
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
