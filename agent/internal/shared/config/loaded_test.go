package config_test

import (
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/protocol"
)

// TestPlace: what a validator says of its settings is shown where they stand, or else at the
// nearest thing around them.
func TestPlace(t *testing.T) {
	t.Parallel()
	toml := write(t, "x.toml", `
port = 1
session.steps = 3
[[validators]]
name = "sequence"

[[validators]]
name = "faults"
  [[validators.settings.plan]]
  step_id = 4
  [[validators.settings.plan]]
  step_id = 5
  ids = [ 1, [2, 3], {a = 1} ]
  [validators.settings.more.deep]
  "a.b" = 1

[[validators]]
name = "min_timeout"
[limits]
`+"[judging]\ncap = \"20s\"\n[log]\nlevel = \"info\"\n[admin]\n[stop]\ngrace = \"1s\"\n[error_codes]\nbusy = 2\n")
	yaml := write(t, "x.yaml", `
port: 1
validators:
- name: sequence
- name: faults
  settings:
    plan:
    - step_id: 4
    - {step_id: 5, ids: [1, [2, 3], {a: 1}]}
    more: {deep: {a.b: 1}}
- name: min_timeout
`)
	sources := config.Sources{
		Environ: []string{"STEPAGENT_TIMEOUT=3", "STEPAGENT_ALLOW_FAULTS=true"},
		Set:     map[string]string{"log.level": "warn"},
	}
	for file, places := range map[string]map[string]string{
		toml: {
			"port": ":2:1", "session": ":3:1", "session.steps": ":3:9", "session.idle_timeout": ":3:1",
			"validators": ":4:3", "validators[0]": ":4:3", "validators[1]": ":7:3", "validators[1].name": ":8:1",
			"validators[1].path": ":7:3", "validators[1].settings": ":9:16", "validators[1].settings.plan": ":9:25",
			"validators[1].settings.plan[0]": ":9:25", "validators[1].settings.plan[0].step_id": ":10:3",
			"validators[1].settings.plan[1].step_id": ":12:3", "validators[1].settings.plan[1].ids": ":13:3",
			"validators[1].settings.plan[1].ids[0]": ":13:11", "validators[1].settings.plan[1].ids[1][1]": ":13:18",
			"validators[1].settings.plan[1].ids[1]": ":13:3", "validators[1].settings.plan[1].ids[2].a": ":13:23",
			"validators[1].settings.plan[1].fault": ":11:25", "validators[1].settings.plan[7].step_id": ":9:25",
			"validators[1].settings.more.deep": ":14:29", `validators[1].settings.more.deep."a.b"`: ":14:29",
			"validators[2].settings.seconds": "STEPAGENT_TIMEOUT", "validators[2].settings.other": ":17:3",
			"log.level": "--log-level", "log.format": ":22:2", "allow_faults": "STEPAGENT_ALLOW_FAULTS",
			"error_codes.busy": ":28:1", "host": "", "": "", "nonsense": "",
		},
		yaml: {
			"port": ":2:1", "validators": ":3:1", "validators[0]": ":4:3", "validators[1].name": ":5:3",
			"validators[1].settings": ":6:3", "validators[1].settings.plan[0]": ":8:7",
			"validators[1].settings.plan[0].step_id": ":8:7", "validators[1].settings.plan[1]": ":9:7",
			"validators[1].settings.plan[1].step_id": ":9:8", "validators[1].settings.plan[1].ids[1][1]": ":9:33",
			"validators[1].settings.plan[1].ids[2].a": ":9:38", "validators[1].settings.more.deep.x": ":10:12",
			"validators[2].settings.seconds": "STEPAGENT_TIMEOUT", "validators[0].settings.first": ":4:3",
			"log.level": "--log-level", "log.format": "", "host": "",
		},
	} {
		sources.File = file
		l := load(t, sources)
		if l.File() != file {
			t.Errorf("the file is %q, want %q", l.File(), file)
		}
		for _, key := range slices.Sorted(maps.Keys(places)) {
			want := places[key]
			if want != "" && want[0] == ':' {
				want = file + want
			}
			if got := l.Place(key).String(); got != want {
				t.Errorf("%s is at %q, want %q", key, got, want)
			}
		}
		got := l.Problem("validators[1].settings.plan[1].step_id", "want an integer\n").Error()
		if want := l.Place("validators[1].settings.plan[1].step_id").String() +
			`: validators[1].settings.plan[1].step_id: want an integer\n`; got != want {
			t.Errorf("the problem is %q, want %q", got, want)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*config.Config)
		want   []string
	}{
		"nothing": {func(*config.Config) {}, nil},
		"scalars": {func(c *config.Config) { c.Port, c.Session.Steps, c.Log.Level = -1, 0, "loud" },
			[]string{
				"port: -1 is out of range; write a number from 0 to 65535",
				"session.steps: 0 is out of range; write a number from 1 to 1000000",
				`log.level: "loud" is not one of debug, info, warn, error`,
			}},
		"zero": {func(c *config.Config) { c.Stop.Grace = 0 },
			[]string{`stop.grace: 0s is out of range; write a duration from "1ms" to "1h"`}},
		"codes": {func(c *config.Config) {
			c.ErrorCodes = map[protocol.Reason]int{protocol.Busy: 0, protocol.Timeout: 1, protocol.Internal: math.MaxInt32}
		}, []string{
			"error_codes.busy: 0 means that the step passed; give the reason another number",
			"error_codes.timeout: the agent sends no such reason; did you mean timeout_too_short?",
		}},
		"no validators": {func(c *config.Config) { c.Validators = nil },
			[]string{"validators: the list is empty, so that every step would pass; name at least one"}},
		"one name": {func(c *config.Config) { c.Validators[1].As = "sequence" }, []string{
			"validators[1].as: the name sequence is taken by validators[0]; give this validator one of its own with as"}},
		"relative": {func(c *config.Config) { c.Validators[0].Path = "bin/x" },
			[]string{`validators[0].path: "bin/x" is not an absolute path; begin it with /`}},
		"faults of another program": {func(c *config.Config) {
			c.Validators[0] = config.Validator{Name: "faults", As: "faults", Path: "/x"}
		}, nil},
	} {
		c := config.Default()
		test.change(&c)
		var got []string
		if err := c.Validate(); err != nil {
			for _, p := range err.(config.Problems) {
				got = append(got, p.Error())
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNotReloadable(t *testing.T) {
	t.Parallel()
	old := config.Default()
	if got := config.NotReloadable(old, config.Default()); got != nil {
		t.Errorf("nothing differs, got %q", got)
	}
	next := config.Default()
	next.Session.Steps, next.Log.Level, next.AllowFaults, next.Validators = 3, "debug", true, nil
	if got := config.NotReloadable(old, next); got != nil {
		t.Errorf("what can change is refused: %q", got)
	}
	next.Host, next.Port, next.Log.Format = "::1", 0, "json"
	next.Admin = config.Admin{Socket: "/run/x", Mode: "0660", Group: "adm"}
	next.Session.Survives, next.Session.Dir, next.Session.Store, next.Session.Bucket = config.SurvivesRestart, "/x", config.StoreNATS, "x"
	want := []string{"host", "port", "session.survives", "session.dir", "session.store", "session.bucket", "log.format", "admin.socket", "admin.mode", "admin.group"}
	if diff := cmp.Diff(want, config.NotReloadable(old, next)); diff != "" {
		t.Errorf("not reloadable (-want +got):\n%s", diff)
	}
}
