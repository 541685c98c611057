package config_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"os"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/protocol"
)

// document draws a config file as a tree, most of it sound.
func document(t *rapid.T) map[string]any {
	doc := map[string]any{"host": rapid.SampledFrom([]string{"localhost", "::1", "0.0.0.0", "1e3", "0x1F", "null"}).Draw(t, "host")}
	maybe := func(key string, value any) {
		if rapid.Bool().Draw(t, key) {
			doc[key] = value
		}
	}
	maybe("port", rapid.IntRange(-1, 65536).Draw(t, "port value"))
	maybe("allow_faults", true)
	maybe("session", map[string]any{
		"steps":        rapid.IntRange(1, 20).Draw(t, "steps"),
		"idle_timeout": rapid.SampledFrom([]string{"5m", "90s", "1h30m", "250ms", "5"}).Draw(t, "idle"),
	})
	maybe("log", map[string]any{"level": rapid.SampledFrom([]string{"info", "warn", "off"}).Draw(t, "level")})
	maybe("error_codes", rapid.MapOf(
		rapid.Map(rapid.SampledFrom(protocol.Sent()), func(r protocol.Reason) string { return string(r) }),
		rapid.IntRange(-1, 9),
	).Draw(t, "codes"))
	maybe("tls", map[string]any{
		"certificate": "/c.pem", "key": "/k.pem", "client_ca": "/ca.pem",
		"mode":     rapid.SampledFrom([]string{"auto", "off", "on", "either", "no"}).Draw(t, "mode"),
		"identity": rapid.SliceOfN(rapid.SampledFrom([]string{"uri", "dns", "cn", "ip"}), 0, 3).Draw(t, "identity"),
		"clients":  rapid.SliceOfN(rapid.Custom(client), 0, 3).Draw(t, "clients"),
	})
	maybe("listeners", rapid.SliceOfN(rapid.Custom(listener), 0, 3).Draw(t, "listeners"))
	maybe("validators", rapid.SliceOfN(rapid.Custom(entry), 0, 3).Draw(t, "list"))
	return doc
}

func client(t *rapid.T) map[string]any {
	c := map[string]any{"match": rapid.OneOf(anyText(), rapid.SampledFrom([]string{"*", "spiffe://a/*", "b"})).Draw(t, "match")}
	if rapid.Bool().Draw(t, "has sessions") {
		c["sessions"] = rapid.SliceOfN(rapid.SampledFrom([]string{"*", "a-*", "b"}), 0, 3).Draw(t, "sessions")
		c["connections"] = rapid.IntRange(-1, 3).Draw(t, "connections")
	}
	return c
}

func listener(t *rapid.T) map[string]any {
	l := map[string]any{"address": rapid.SampledFrom([]string{"0.0.0.0:8443", "[::1]:0", "unix:/run/x.sock", "unix:x", ":1"}).Draw(t, "address")}
	if rapid.Bool().Draw(t, "has more") {
		l["mode"] = rapid.SampledFrom([]string{"0600", "0660", "0777"}).Draw(t, "socket mode")
		l["tls"] = rapid.SampledFrom([]string{"auto", "on", ""}).Draw(t, "tls")
		l["group"] = rapid.SampledFrom([]string{"adm", "0", "a b"}).Draw(t, "group")
	}
	return l
}

func entry(t *rapid.T) map[string]any {
	v := map[string]any{"name": rapid.StringMatching(`[a-z][a-z0-9_]{0,3}`).Draw(t, "name")}
	if rapid.Bool().Draw(t, "own program") {
		v["path"] = rapid.StringMatching(`(/|\.\./)?[a-z]{1,4}(/[a-z]{1,4})?`).Draw(t, "path")
		v["args"] = rapid.SliceOfN(anyText(), 0, 3).Draw(t, "args")
	}
	if rapid.Bool().Draw(t, "has settings") {
		v["settings"] = rapid.MapOfN(anyText(), value(3), 0, 4).Draw(t, "settings")
	}
	return v
}

// anyText draws strings that look like something else in one of the formats, and others.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "true", "yes", "~", "null", "<<", "1", "01", "1.5", "1_0", ".inf", "2026-11-22",
			"10:00", "a: b", "# c", "- d", "[e]", "'", `"`, `\`, "\n", "\t", " ", "é", "\u202e", "{}", "*a", "&b", "!c", "%"}),
		rapid.StringMatching(`[A-Za-z0-9_. -]{0,8}`),
	)
}

func value(depth int) *rapid.Generator[any] {
	generators := []*rapid.Generator[any]{
		rapid.Map(rapid.Int64(), func(n int64) any { return n }),
		rapid.Map(rapid.Float64(), func(f float64) any { return f }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(anyText(), func(s string) any { return s }),
	}
	if depth > 0 {
		generators = append(generators,
			rapid.Map(rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[any] { return value(depth - 1) }), 0, 3),
				func(l []any) any { return l }),
			rapid.Map(rapid.MapOfN(anyText(), rapid.Deferred(func() *rapid.Generator[any] { return value(depth - 1) }), 0, 3),
				func(m map[string]any) any { return m }))
	}
	return rapid.OneOf(generators...)
}

// TestFormatsAgree: a document means the same in TOML and in YAML, and what is wrong with it
// is the same too, but for the places.
func TestFormatsAgree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sound := 0
	rapid.Check(t, func(t *rapid.T) {
		doc := document(t)
		try := func(name string, marshal func(any) ([]byte, error)) (c config.Config, problems map[string]string) {
			data, err := marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, name)
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			l, err := config.Load(config.Sources{File: file})
			if err != nil {
				problems = map[string]string{}
				for _, p := range err.(config.Problems) {
					if p.Line == 0 {
						t.Fatalf("%v has no place in\n%s", p, data)
					}
					problems[p.Key] = p.Message
				}
				return c, problems
			}
			sound++
			return l.Config, nil
		}
		fromTOML, tomlProblems := try("x.toml", toml.Marshal)
		fromYAML, yamlProblems := try("x.yaml", yaml.Marshal)
		if diff := cmp.Diff(tomlProblems, yamlProblems); diff != "" {
			t.Fatalf("problems (-toml +yaml):\n%s", diff)
		}
		if diff := cmp.Diff(fromTOML, fromYAML); diff != "" {
			t.Fatalf("config (-toml +yaml):\n%s", diff)
		}
	})
	if sound == 0 && !testing.Short() { // the few rounds of a short test may hold none
		t.Error("no document was sound, so that nothing was compared")
	}
}
