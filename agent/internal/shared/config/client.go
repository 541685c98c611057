package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"syscall"
)

// ClientFileVariable names the file of the client's settings.
const ClientFileVariable = "STEPCTL_CONFIG"

// A Client is the settings of stepctl. A field with its tags is a key, see tagName.
type Client struct {
	// Host is the host name or the address of the agent. For run it may name several agents, separated by
	// commas; each may have a port of its own.
	Host string `config:"host" default:"localhost" check:"agent" flag:"host <NAME> or address of the agent, with :PORT or without; run takes several, as a,b:8081"`
	// Port is the TCP port of the agents whose host has none.
	Port int `config:"port" default:"8080" limits:"1..65535" zeros:"allowed" flag:"<PORT> of an agent whose host has none"`
	// Timeout is how long run waits for a connection.
	Timeout Seconds `config:"timeout" default:"5" flag:"maximum wait for a connection in <SECONDS>; the step file has the timeouts for replies"`
	// Data is the built-in procedure of run and load; empty for none.
	Data string `config:"data" check:"procedure" flag:"built-in procedure: <NAME> is success, failure or timeout"`
	// Wait is how long load waits for a reply and for a connection.
	Wait Seconds `config:"wait" default:"10" flag:"maximum wait for a reply and for a connection in <SECONDS>"`
	// MaxStrays is how many messages that answer no request run keeps.
	MaxStrays int `config:"max_strays" default:"256" limits:"1..1000000" flag:"<NUMBER> of messages to keep that answer no request; further ones are counted"`
	// Lang is the language of the HTML page.
	Lang string `config:"lang" default:"en" oneof:"en,ko" flag:"<LANGUAGE> of the HTML page: en or ko"`
	// LogFormat is the format of stderr; see package logging.
	LogFormat string `config:"log_format" default:"auto" oneof:"auto,tint,text,json" flag:"format of stderr: <FORMAT> is auto, tint, text or json"`
	// DB is the place of the database with procedures and runs: a file name or a postgres:// URL, which
	// may have a password (see WithoutPassword); empty for none.
	DB string `config:"db" check:"database" flag:"database with procedures and runs: <PLACE> is a file, or postgres://USER@HOST/NAME"`
	// TLS says that connections to the agent are over TLS. Without it the keys below do not count.
	TLS bool `config:"tls" flag:"connect to the agent over TLS"`
	// CA is a PEM file with the CAs that the agent's certificate may be from; empty for the CAs of the
	// system. This path and those below may be relative to the current folder.
	CA string `config:"ca" check:"path" flag:"PEM <FILE> with the CAs of agents (default: those of this system)"`
	// Cert and Key are PEM files with the certificate that identifies this client to the agent, and
	// its key; empty for none.
	Cert string `config:"cert" check:"path" flag:"PEM <FILE> with the certificate of this client, then its intermediates"`
	Key  string `config:"key" check:"path" flag:"PEM <FILE> with the key of --cert"`
	// ServerName is the host name or the address that the agent's certificate must have; empty for
	// the host that is connected to.
	ServerName string `config:"server_name" check:"server" flag:"<NAME> that the agent's certificate must have (default: the host connected to)"`
	// KeyLog is the file to which the keys of connections are added; empty for none.
	KeyLog string `config:"keylog" check:"path" flag:"add the keys of the connections to <FILE>, which lets its readers decrypt a capture"`
	// NATSURL has the addresses of NATS servers, with commas; empty for none. The keys of NATS and Fleet
	// are for the commands that use it.
	NATSURL string `config:"nats_url" check:"servers" flag:"<ADDRESS> of NATS, such as nats://nats-1.lan:4222; several with commas"`
	// NATSCredentials is a file with the credentials of a user; empty for none.
	NATSCredentials string `config:"nats_credentials" check:"path" flag:"<FILE> with the NATS credentials of this user"`
	// NATSUser is the name of a user with a password, NATSPassword a reference to that; see NATSSecret.
	NATSUser     string `config:"nats_user" check:"word" flag:"<NAME> of the NATS user, if it has a password"`
	NATSPassword string `config:"nats_password" check:"reference" flag:"where the password of --nats-user is: <PLACE> is ${file:/PATH} or ${env:NAME}"`
	// NATSCA, NATSCert and NATSKey are PEM files for connections over TLS; empty for none.
	NATSCA   string `config:"nats_ca" check:"path" flag:"PEM <FILE> with the CAs of the NATS servers (default: those of this system)"`
	NATSCert string `config:"nats_cert" check:"path" flag:"PEM <FILE> with the certificate of this client for NATS"`
	NATSKey  string `config:"nats_key" check:"path" flag:"PEM <FILE> with the key of --nats-cert"`
	// Fleet is the name that the boards of a fleet share.
	Fleet string `config:"fleet" default:"default" check:"fleet" flag:"<NAME> of the fleet, as in the config of its agents"`
}

// clientSchema returns the schema of Client.
var clientSchema = sync.OnceValue(func() *schema { return schemaOf("stepctl", reflect.TypeFor[Client]()) })

// ClientFlags returns the flags of stepctl's settings.
var ClientFlags = sync.OnceValue(func() Flags { return clientSchema().flags() })

// A ClientSetting is a setting in force.
type ClientSetting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	// From is the place of the value, or "default".
	From string `json:"from"`
}

// A LoadedClient is a Client with the places of its keys. Its JSON is the output of stepctl settings.
type LoadedClient struct {
	Client `json:"-"`
	// Settings has one for each key.
	Settings []ClientSetting `json:"settings"`
	// File is the file that was read; empty for none.
	File string `json:"file,omitempty"`
	// Ignored are the variables with the prefix of stepctl that Kubernetes or Docker sets, see
	// injected.
	Ignored []string `json:"ignored,omitempty"`
}

// LoadClient reads the sources as Load does. Of their fields it uses File, Environ and Set; a file may
// be empty, and has no snippets.
func LoadClient(s Sources) (*LoadedClient, error) {
	schema := clientSchema()
	l := &LoadedClient{File: s.File}
	schema.setDefaults(&l.Client)
	file, problems := schema.fromFile(s.File)
	environ, flags := schema.fromEnviron(s.Environ), schema.fromFlags(s.Set)
	if problems = slices.Concat(problems, environ.problems, flags.problems); len(problems) > 0 {
		problems.sort([]string{s.File})
		return nil, problems.first(maxProblems)
	}
	if err := schema.merge(&l.Client, file.scalars, environ.scalars, flags.scalars); err != nil {
		return nil, fmt.Errorf("merge the settings: %w", err)
	}
	l.Ignored = environ.injected
	schema.fields(&l.Client, func(k *key, field reflect.Value) {
		place := file.places[k.name]
		for _, o := range []*overlay{environ, flags} {
			if source, ok := o.sources[k.name]; ok {
				place = Place{Source: source}
			}
		}
		value := fmt.Sprint(field)
		if k.tag.Get("check") == databaseCheck {
			value = WithoutPassword(value)
		}
		l.Settings = append(l.Settings, ClientSetting{k.name, value, cmp.Or(place.String(), "default")})
	})
	return l, nil
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
