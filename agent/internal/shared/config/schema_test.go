package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A sample is a config whose fields are the only place where its keys are.
type sample struct {
	Name    string `config:"name" default:"bench" oneof:"bench,line" restart:"needed" flag:"<NAME> of the place"`
	Section struct {
		Retries int           `config:"retries" default:"3" limits:"1..9"`
		Each    int           `config:"each" default:"2" limits:"1..9" within:"section.retries"`
		Pause   time.Duration `config:"pause" default:"1m" limits:"1ms..2h"`
		Loud    bool          `config:"loud"`
		Hosts   []string      `config:"hosts" default:"all" check:"networks"`
	} `config:"section"`
}

// loadSample reads the sources as Load does those of a Config.
func loadSample(t *testing.T, file string, environ []string, set map[string]string) (sample, Problems) {
	t.Helper()
	s := schemaOf("weigh", reflect.TypeFor[sample]())
	var c sample
	s.setDefaults(&c)
	root, problems := (&content{file: "c.toml", data: []byte(file), read: parseTOML, mayBeEmpty: true}).parse()
	d := decode(s, root, problems)
	e, f := s.fromEnviron(environ), s.fromFlags(set)
	if err := s.merge(&c, d.scalars, e.scalars, f.scalars); err != nil {
		t.Fatal(err)
	}
	return c, slices.Concat(d.problems, e.problems, f.problems)
}

// TestFieldIsKey: a field with its tags is all that a key needs.
func TestFieldIsKey(t *testing.T) {
	t.Parallel()
	var want sample
	want.Name = "bench"
	want.Section.Retries, want.Section.Each, want.Section.Pause, want.Section.Hosts = 3, 2, time.Minute, []string{"all"}
	for _, test := range []struct {
		name, file string
		environ    []string
		set        map[string]string
		change     func(c *sample)
	}{
		{"defaults", "", nil, nil, func(*sample) {}},
		{"file", "section.retries = 5\nsection.loud = true\nsection.hosts = ['private']", nil, nil,
			func(c *sample) {
				c.Section.Retries, c.Section.Loud, c.Section.Hosts = 5, true, []string{"private"}
			}},
		{"environment", "section.retries = 5", []string{"WEIGH_SECTION_RETRIES=6", "WEIGH_SECTION_PAUSE=2h"}, nil,
			func(c *sample) { c.Section.Retries, c.Section.Pause = 6, 2*time.Hour }},
		{"flag", "name = 'bench'", []string{"WEIGH_NAME=bench"}, map[string]string{"name": "line"},
			func(c *sample) { c.Name = "line" }},
		{"within", "section.retries = 1", nil, nil, func(c *sample) { c.Section.Retries, c.Section.Each = 1, 1 }},
	} {
		want := want
		test.change(&want)
		got, problems := loadSample(t, test.file, test.environ, test.set)
		if diff := cmp.Diff(want, got); diff != "" || len(problems) > 0 {
			t.Errorf("%s: %v (-want +got):\n%s", test.name, problems, diff)
		}
	}
}

// TestFieldIsChecked: the limits of a field hold for each source, and the error names the key.
func TestFieldIsChecked(t *testing.T) {
	t.Parallel()
	_, problems := loadSample(t, "section.retries = 10\nsection.retires = 1\nname = 'lime'\nsection.pause = 5",
		[]string{"WEIGH_SECTION_PAUSE=3h", "WEIGH_SECTION_LOUDER=1"}, map[string]string{"section.hosts": "nowhere", "nam": "x"})
	want := []string{
		`c.toml:1:9: section.retries: 10 is out of range; write a number from 1 to 9`,
		`c.toml:2:9: section.retires: unknown key; did you mean retries?`,
		`c.toml:3:1: name: "lime" is not one of bench, line; did you mean line?`,
		`c.toml:4:9: section.pause: the number 5 has no unit; write "5s" for seconds, or use ms, m or h`,
		`WEIGH_SECTION_LOUDER: weigh knows no such variable; did you mean WEIGH_SECTION_LOUD?`,
		`WEIGH_SECTION_PAUSE: 3h is out of range; write a duration from "1ms" to "2h"`,
		`--nam: the config has no key "nam"; did you mean name?`,
		`--section-hosts: "nowhere" is no network; write an address, a prefix such as "192.0.2.0/24", or one of loopback, private, link-local, all`,
	}
	problems.sort([]string{"c.toml"})
	if diff := cmp.Diff(want, strings.Split(problems.Error(), "\n")); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// TestTables: each key of Config that is not a scalar is decoded by a function of its own.
func TestTables(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{"tls.clients", "listeners", "validators", "error_codes"}, agentSchema().tables); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
}

// TestDefaultsFollowTheProtocol: a tag holds no constant of another package.
func TestDefaultsFollowTheProtocol(t *testing.T) {
	t.Parallel()
	if got := Default().Limits.MessageBytes; got != protocol.DefaultMaxMessageBytes {
		t.Errorf("the longest message has %d bytes, want %d", got, protocol.DefaultMaxMessageBytes)
	}
}

// TestFlags: a flag exists for the keys that a person sets by hand.
func TestFlags(t *testing.T) {
	t.Parallel()
	keys := map[string]string{}
	for _, flag := range AgentFlags() {
		keys[flag.Name] = flag.Key
		if strings.Count(flag.Usage, "`") != 2 {
			t.Errorf("the usage of --%s does not name its value: %s", flag.Name, flag.Usage)
		}
	}
	want := []string{"admin-socket", "allow", "host", "log-format", "log-level", "port", "timeout"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(keys))); diff != "" || keys["log-format"] != "log.format" {
		t.Errorf("flags %v (-want +got):\n%s", keys, diff)
	}
}

// TestLimits: each limit is allowed itself, and what lies beyond it is not.
func TestLimits(t *testing.T) {
	t.Parallel()
	numbers, durations := 0, 0
	for _, key := range agentSchema().keys {
		for _, test := range []struct {
			beyond int64
			sound  bool
		}{{0, true}, {1, false}} {
			var errs []error
			switch k := key.kind.(type) {
			case integer:
				numbers++
				errs = []error{k.check(int(k.min - test.beyond)), k.check(int(k.max + test.beyond))}
			case duration:
				durations++
				beyond := time.Duration(test.beyond)
				errs = []error{k.check(k.min - beyond), k.check(k.max + beyond)}
			}
			for _, err := range errs {
				if (err == nil) != test.sound {
					t.Errorf("%s, %d beyond its limits: %v", key.name, test.beyond, err)
				}
			}
		}
	}
	ints, times := 0, 0
	c := Default()
	agentSchema().fields(&c, func(_ *key, field reflect.Value) {
		switch field.Interface().(type) {
		case int:
			ints++
		case time.Duration:
			times++
		}
	})
	if numbers != 2*ints || durations != 2*times || ints < 19 || times < 11 {
		t.Errorf("%d numbers and %d durations were looked at", numbers, durations)
	}
}
