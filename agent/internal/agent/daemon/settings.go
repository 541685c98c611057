package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/agent/auditwriter"
	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/agent/verdictcache"
	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/protocol"
)

// The options of each package, taken from the config.

func serverOptions(c *config.Loaded, version string, record *auditwriter.Writer, set *certificate.Set) server.Options {
	o := server.Options{
		Allow:                 c.Allowed(),
		Connections:           c.Limits.Connections,
		ConnectionsPerAddress: c.Limits.ConnectionsPerAddress,
		MessageBytes:          c.Limits.MessageBytes,
		MessageTime:           c.Limits.MessageTime,
		ReplyTime:             c.Limits.ReplyTime,
		PipelinedMessages:     c.Limits.PipelinedMessages,
		IdleTimeout:           c.Session.IdleTimeout,
		Codes:                 protocol.Codes(c.ErrorCodes),
		Agent:                 "stepagent " + version,
		Certificates:          set,
		TLSConnections:        c.TLS.Connections,
		Clients:               clientRules(c),
	}
	if record != nil {
		o.Recorder = record
	}
	return o
}

func sessionOptions(c *config.Loaded, record *auditwriter.Writer) session.Options {
	o := session.OptionsOf(c.Config)
	if record != nil {
		o.Recorder = record
	}
	return o
}

func newChain(generation uint64, c *config.Loaded, set *pluginhost.Set) *judge.Chain {
	return judge.NewChain(judge.Options{
		Generation:  generation,
		Limits:      judge.Limits{Floor: c.Judging.Floor, Cap: c.Judging.Cap},
		AllowFaults: c.AllowFaults,
		Timed:       c.Record.Enabled,
	}, set.Groups()...)
}

func pluginLimits(c *config.Loaded) pluginhost.Limits {
	limits := pluginhost.Limits{
		MemoryBytes: uint64(c.Plugins.MemoryMiB) << 20,
		Processes:   uint64(c.Plugins.Processes),
		OpenFiles:   uint64(c.Plugins.OpenFiles),
	}
	if reservesTerabytes {
		limits.MemoryBytes = 0
	}
	return limits
}

// level returns the config's log level, which has been checked.
func level(c *config.Loaded) slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(c.Log.Level)); err != nil {
		return slog.LevelInfo
	}
	return l
}

// source returns the files that the config was read from.
func source(c *config.Loaded) string {
	return cmp.Or(strings.Join(c.Files(), ", "), "defaults")
}

// startValidators starts the config's validators. They must accept the session states of those they
// replace; old is nil for none. Errors of their settings are config.Problems with places in the file.
func startValidators(ctx context.Context, host *pluginhost.Host, c *config.Loaded, old *pluginhost.Set) (*pluginhost.Set, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errTooLong)
	defer cancel()
	validators, secrets, err := c.ResolveSettings()
	if err != nil {
		return nil, err
	}
	specs := make([]pluginhost.Spec, len(validators))
	for i, v := range validators {
		specs[i] = pluginhost.Spec{Name: v.As, Validator: v.Name, Path: v.Path, Checksum: v.Checksum,
			Args: v.Args, Settings: v.Settings, Hide: secrets.Hide, Limits: pluginLimits(c), Cache: cacheOptions(c)}
	}
	start := host.Start
	if old != nil {
		start = func(ctx context.Context, specs []pluginhost.Spec) (*pluginhost.Set, error) {
			return host.Follow(ctx, old, specs)
		}
	}
	set, err := start(ctx, specs)
	if err != nil {
		return nil, asProblems(c, err)
	}
	return set, nil
}

// cacheOptions returns the options of the verdict cache.
func cacheOptions(c *config.Loaded) verdictcache.Options {
	return verdictcache.Options{Bytes: c.Judging.KeptMiB << 20, RecheckEvery: c.Judging.RecheckEvery, ShadowEvery: c.Plugins.ShadowEvery}
}

// asProblems returns the errors of validators as problems of the config.
func asProblems(c *config.Loaded, err error) error {
	var problems config.Problems
	for _, e := range flatten(err) {
		var spec *pluginhost.SpecError
		if !errors.As(e, &spec) {
			return err
		}
		problems = append(problems, c.Problem(configKey(spec), spec.Problem))
	}
	return problems
}

// configKey returns the key of the config that an error is about.
func configKey(e *pluginhost.SpecError) string {
	element := fmt.Sprintf("validators[%d]", e.Index)
	switch e.Key {
	case "":
		return element
	case "name":
		return element + ".as"
	case "validator":
		return element + ".name"
	default:
		return element + "." + e.Key
	}
}

// flatten returns the errors that have been joined, or the error itself.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

// CheckCertificates reads the config's certificates and returns what is doubtful about them.
func CheckCertificates(c *config.Loaded) (warnings []string, err error) {
	set, err := loadCertificates(c)
	if set == nil || err != nil {
		return nil, err
	}
	return set.Warnings(hostNames(c)), nil
}

// hostNames returns the hosts at which the agent listens for clients with TLS.
func hostNames(c *config.Loaded) (names []string) {
	list, _ := endpoints(c) // an error is told at a start
	for _, w := range list {
		if e, ok := w.endpoint.(tcpEndpoint); ok && w.tls != config.TLSOff {
			names = append(names, e.host)
		}
	}
	return names
}

// Check starts the config's validators once to verify that they serve, and stops them.
func Check(ctx context.Context, c *config.Loaded, options Options) error {
	dirs := runtimeDirs(options)
	if _, err := newAdminOptions(c, dirs, nil); err != nil {
		return err
	}
	host, err := newHost(options, dirs)
	if err != nil {
		return err
	}
	defer host.Close()
	set, err := startValidators(ctx, host, c, nil)
	if err != nil {
		return err
	}
	set.Close(ctx)
	return nil
}
