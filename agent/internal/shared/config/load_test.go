package config_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/protocol"
)

func load(t *testing.T, s config.Sources) *config.Loaded {
	t.Helper()
	l, err := config.Load(s)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return l
}

func TestNothingSaidIsDefault(t *testing.T) {
	t.Parallel()
	l := load(t, config.Sources{Environ: []string{"PATH=/bin", "STEPAGENT_CONFIG=x", "STEPAGENT_PORT=", "broken"}})
	if diff := cmp.Diff(config.Default(), l.Config); diff != "" {
		t.Errorf("differs from the default (-want +got):\n%s", diff)
	}
	if err := config.Default().Validate(); err != nil {
		t.Errorf("the default is not valid: %v", err)
	}
	if l.File() != "" || l.Place("port") != (config.Place{}) {
		t.Errorf("a default has a place: %q, %v", l.File(), l.Place("port"))
	}
}

// TestCommentsAlone: a file with comments and no keys means the defaults.
func TestCommentsAlone(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"comments.toml": "# port = 8080\n", "comments.yaml": "# port: 8080", "marker.yaml": "---\n", "null.yaml": "~",
		"flow.yaml": "{}", "bom.toml": "\ufeff#\r\n",
	} {
		l := load(t, config.Sources{File: write(t, name, text)})
		if diff := cmp.Diff(config.Default(), l.Config); diff != "" {
			t.Errorf("%s differs from the default (-want +got):\n%s", name, diff)
		}
	}
}

// TestEmptied: at a reload, comments alone do not stand for a config with keys.
func TestEmptied(t *testing.T) {
	t.Parallel()
	keys, comments := write(t, "keys.toml", "port = 8080\n"), write(t, "comments.toml", "# none\n")
	with, without := load(t, config.Sources{File: keys}), load(t, config.Sources{File: comments})
	none := load(t, config.Sources{})
	for i, test := range []struct {
		old, next *config.Loaded
		sound     bool
	}{{with, without, false}, {with, with, true}, {without, with, true}, {without, without, true}, {none, none, true}} {
		err := config.Emptied(test.old, test.next)
		if (err == nil) != test.sound || err != nil && !strings.HasPrefix(err.Error(), comments+": has comments only") {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// TestInjectedVariables: what Kubernetes and Docker make for a service called stepagent, or
// stepagent-admin, is no mistake. What only looks alike is.
func TestInjectedVariables(t *testing.T) {
	t.Parallel()
	injected := []string{"STEPAGENT_PORT=tcp://10.96.0.7:7000", "STEPAGENT_SERVICE_HOST=10.96.0.7",
		"STEPAGENT_SERVICE_PORT=7000", "STEPAGENT_SERVICE_PORT_STEPS=7000", "STEPAGENT_PORT_7000_TCP=tcp://10.96.0.7:7000",
		"STEPAGENT_PORT_7000_TCP_PROTO=tcp", "STEPAGENT_PORT_7000_TCP_PORT=7000", "STEPAGENT_PORT_7000_TCP_ADDR=10.96.0.7",
		"STEPAGENT_ADMIN_PORT=udp://10.96.0.8:1", "STEPAGENT_ADMIN_SERVICE_HOST=10.96.0.8", "STEPAGENT_ADMIN_PORT_1_UDP_ADDR=10.96.0.8",
		"STEPAGENT_NAME=/client/stepagent", "STEPAGENT_ENV_PATH=/bin"}
	l := load(t, config.Sources{Environ: injected})
	if diff := cmp.Diff(config.Default(), l.Config); diff != "" || len(l.Injected()) != len(injected) {
		t.Errorf("%d variables were passed over, want %d; the config (-want +got):\n%s", len(l.Injected()), len(injected), diff)
	}
	got := refused(t, config.Sources{Environ: []string{"STEPAGENT_PORT=http://x", "STEPAGENT_SERVICE_HOSTS=1", "STEPAGENT_PORT_TCP=1",
		"STEPAGENT_NAME=bench", "STEPAGENT_SESSION_STEPS=tcp://10.96.0.7:1"}})
	if len(got) != 5 {
		t.Errorf("got %q", got)
	}
}

// TestFormat: a format that is stated counts more than the name, and standard input needs one.
func TestFormat(t *testing.T) {
	t.Parallel()
	file := write(t, "stepagent.toml.new", "port: 7\n")
	if l := load(t, config.Sources{File: file, Format: "yaml"}); l.Port != 7 || l.File() != file {
		t.Errorf("port %d of %s", l.Port, l.File())
	}
	in := config.Sources{File: config.StandardInput, Format: "toml", Input: strings.NewReader("[[validators]]\nname = \"x\"\npath = \"x\"\n")}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	l := load(t, in)
	if got := l.Validators[0].Path; got != filepath.Join(wd, "x") {
		t.Errorf("the path is %s", got)
	}
	if got := l.Place("validators[0].name").String(); got != "standard input:2:1" {
		t.Errorf("the place is %s", got)
	}
	for want, s := range map[string]config.Sources{
		"standard input: is read by check-config alone; name a file": {File: config.StandardInput},
		"standard input: has no extension":                           {File: config.StandardInput, Input: strings.NewReader("")},
		"standard input: is larger than 131072 bytes": {File: config.StandardInput, Format: "toml",
			Input: strings.NewReader(strings.Repeat("#", config.MaxFileBytes+1))},
		"standard input: the file is empty": {File: config.StandardInput, Format: "toml", Input: strings.NewReader("")},
	} {
		if got := refused(t, s); !strings.HasPrefix(got[0], want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestAbsolute: the file is shown by its absolute path, wherever the agent was started.
func TestAbsolute(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("x.toml", []byte("port = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := load(t, config.Sources{File: "./x.toml"})
	if want := filepath.Join(dir, "x.toml"); l.File() != want || l.Place("port").File != want {
		t.Errorf("got %s and %v, want %s", l.File(), l.Place("port"), want)
	}
}

// TestOrder sets one more source at a time: each wins over those before it, and takes
// nothing else from them.
func TestOrder(t *testing.T) {
	t.Parallel()
	file := write(t, "order.toml", "port = 1\n[session]\nsteps = 1\nidle_timeout = \"1s\"\n")
	s := config.Sources{File: file}
	check := func(port, steps int, idle time.Duration, place string) {
		t.Helper()
		l := load(t, s)
		want := config.Default()
		want.Port, want.Session.Steps, want.Session.IdleTimeout = port, steps, idle
		if diff := cmp.Diff(want, l.Config); diff != "" {
			t.Errorf("config (-want +got):\n%s", diff)
		}
		if got := l.Place("port").String(); got != place {
			t.Errorf("port was written at %q, want %q", got, place)
		}
	}
	check(1, 1, time.Second, file+":1:1")
	s.Environ = []string{"STEPAGENT_PORT=9", "STEPAGENT_PORT=2", "STEPAGENT_SESSION_IDLE_TIMEOUT=2m"}
	check(2, 1, 2*time.Minute, "STEPAGENT_PORT")
	s.Set = map[string]string{"port": "3"}
	check(3, 1, 2*time.Minute, "--port")
}

// TestEveryVariable sets every scalar but the one that is left at its default by each of
// the environment and the flags, and finds it again.
func TestEveryVariable(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"host": "192.0.2.7", "port": "0", "allow": "loopback, 192.0.2.0/24,2001:db8::7", "allow_faults": "true",
		"session.steps": "11", "session.idle_timeout": "1h30m", "session.resume_window": "2s",
		"session.longest_interval": "4m",
		"session.takeover_wait":    "3ms", "session.remembered_replies": "12", "session.owner": "address",
		"session.survives": "power_cut", "session.dir": "/tmp/sessions", "session.store": "nats", "session.bucket": "bench", "nats.url": "nats://a:4222",
		"limits.connections": "13", "limits.connections_per_address": "12", "limits.message_bytes": "65",
		"limits.message_time": "4s", "limits.reply_time": "6s", "limits.pipelined_messages": "14",
		"limits.sessions": "15", "limits.sessions_per_address": "10", "limits.remembered_bytes": "65536",
		"judging.floor": "1.5s", "judging.cap": "7s", "judging.kept_mib": "21", "judging.recheck_every": "22", "stop.grace": "8s",
		"plugins.memory_mib": "16", "plugins.processes": "17", "plugins.open_files": "18", "plugins.shadow_every": "19",
		"log.format": "json", "log.level": "debug", "admin.socket": "/run/x.sock", "admin.mode": "0660", "admin.group": "adm",
		"reload.on_change": "true", "reload.settle": "30ms",
		"tls.certificate": "/c.pem", "tls.key": "/k.pem", "tls.client_ca": "/ca.pem", "tls.crl": "/r.crl", "tls.crl_expired": "refuse",
		"tls.min_version": "1.2", "tls.identity": "cn, uri", "tls.mode": "either", "tls.connections": "23",
		"record.enabled": "true", "record.dir": "/tmp/record", "record.file_mib": "2", "record.file_age": "2h",
		"record.total_mib": "4", "record.queue": "20",
	}
	want := config.Default()
	want.Host, want.Port, want.AllowFaults = "192.0.2.7", 0, true
	want.Allow = []string{"loopback", "192.0.2.0/24", "2001:db8::7"}
	want.Session = config.Session{Steps: 11, IdleTimeout: 90 * time.Minute, ResumeWindow: 2 * time.Second,
		LongestInterval: 4 * time.Minute, TakeoverWait: 3 * time.Millisecond, RememberedReplies: 12, Owner: "address",
		Survives: "power_cut", Dir: "/tmp/sessions", Store: "nats", Bucket: "bench"}
	want.NATS.URL = []string{"nats://a:4222"}
	want.Limits = config.Limits{Connections: 13, ConnectionsPerAddress: 12, MessageBytes: 65,
		MessageTime: 4 * time.Second, ReplyTime: 6 * time.Second, PipelinedMessages: 14, Sessions: 15,
		SessionsPerAddress: 10, RememberedBytes: 65536}
	want.Judging = config.Judging{Floor: 1500 * time.Millisecond, Cap: 7 * time.Second, KeptMiB: 21, RecheckEvery: 22}
	want.Stop.Grace = 8 * time.Second
	want.TLS = config.TLS{Certificate: "/c.pem", Key: "/k.pem", ClientCA: "/ca.pem", CRL: "/r.crl", CRLExpired: "refuse",
		MinVersion: "1.2", Identity: []string{"cn", "uri"}, Mode: "either", Connections: 23}
	want.Reload = config.Reload{OnChange: true, Settle: 30 * time.Millisecond}
	want.Plugins = config.Plugins{MemoryMiB: 16, Processes: 17, OpenFiles: 18, ShadowEvery: 19}
	want.Log = config.Log{Format: "json", Level: "debug"}
	want.Admin = config.Admin{Socket: "/run/x.sock", Mode: "0660", Group: "adm"}
	want.Record = config.Record{Enabled: true, Dir: "/tmp/record", FileMiB: 2, FileAge: 2 * time.Hour, TotalMiB: 4, Queue: 20}

	var environ []string
	for key, value := range values {
		name := strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
		environ = append(environ, "STEPAGENT_"+name+"="+value)
	}
	for name, s := range map[string]config.Sources{"environment": {Environ: environ}, "flags": {Set: values}} {
		if diff := cmp.Diff(want, load(t, s).Config); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	twice := write(t, "twice.toml", `
[[validators]]
name = "min_timeout"
settings = { seconds = 9, Other = [9007199254740993, -0.0, 2.5, "<x>"] }
[[validators]]
name = "sequence"
[[validators]]
name = "min_timeout"
as = "again"
`)
	for _, test := range []struct {
		sources config.Sources
		want    []string
	}{
		{config.Sources{Set: map[string]string{"timeout": "0.5"}}, []string{"", `{"seconds":0.5}`}},
		{config.Sources{Environ: []string{"STEPAGENT_TIMEOUT=0"}}, []string{"", `{"seconds":0}`}},
		{config.Sources{Environ: []string{"STEPAGENT_TIMEOUT=3"}, Set: map[string]string{"timeout": "7"}},
			[]string{"", `{"seconds":7}`}},
		{config.Sources{File: twice}, []string{`{"Other":[9007199254740993,0,2.5,"<x>"],"seconds":9}`, "", ""}},
		{config.Sources{File: twice, Set: map[string]string{"timeout": "2.25"}},
			[]string{`{"Other":[9007199254740993,0,2.5,"<x>"],"seconds":2.25}`, "", `{"seconds":2.25}`}},
	} {
		var got []string
		for _, v := range load(t, test.sources).Validators {
			got = append(got, string(v.Settings))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%+v: settings (-want +got):\n%s", test.sources, diff)
		}
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	file := write(t, "lists.yml", `
judging: {floor: 30s}
error_codes: {out_of_order: 2, internal: -2147483648}
validators:
  - {name: torque, as: torque-front, path: ../lib/torque, args: ["--axle", front]}
  - {name: torque, path: /opt/torque, settings: {Newton: {metres: 12.5, "a.b": [true, 0x10, "x"]}, newton: 1_000}}
  - {name: sequence, settings: {}}
`)
	want := config.Default()
	want.Judging.Floor = want.Judging.Cap
	want.ErrorCodes = map[protocol.Reason]int{protocol.OutOfOrder: 2, protocol.Internal: math.MinInt32}
	want.Validators = []config.Validator{
		{Name: "torque", As: "torque-front", Path: filepath.Join(filepath.Dir(filepath.Dir(file)), "lib/torque"),
			Args: []string{"--axle", "front"}},
		{Name: "torque", As: "torque", Path: "/opt/torque",
			Settings: []byte(`{"Newton":{"a.b":[true,16,"x"],"metres":12.5},"newton":1000}`)},
		{Name: "sequence", As: "sequence"},
	}
	if diff := cmp.Diff(want, load(t, config.Sources{File: file}).Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

// TestRelativePath: a path is relative to the folder of the file, not to where the agent
// was started.
func TestRelativePath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Mkdir("etc", 0o700); err != nil {
		t.Fatal(err)
	}
	text := []byte("[[validators]]\nname = \"torque\"\npath = \"bin/torque\"\n")
	if err := os.WriteFile("etc/agent.toml", text, 0o600); err != nil {
		t.Fatal(err)
	}
	got := load(t, config.Sources{File: "etc/agent.toml"}).Validators[0].Path
	if want := filepath.Join(dir, "etc/bin/torque"); got != want {
		t.Errorf("the path is %s, want %s", got, want)
	}
}

// TestByteOrderMark: some editors put one at the beginning of a file.
func TestByteOrderMark(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"bom.toml": "\ufeffport = 1\r\n", "bom.yaml": "\ufeffport: 1\r\n"} {
		if l := load(t, config.Sources{File: write(t, name, text)}); l.Port != 1 || l.Place("port").Column != 1 {
			t.Errorf("%s: port %d at %v", name, l.Port, l.Place("port"))
		}
	}
}

func TestEnvironmentAndFlagsAreRefused(t *testing.T) {
	t.Parallel()
	file := write(t, "x.toml", "port = 0.5\n[[validators]]\nname = \"sequence\"\n")
	got := refused(t, config.Sources{
		File: file,
		Environ: []string{"STEPAGENT_PROT=1", "STEPAGENT_FOO=1", "STEPAGENT_VALIDATORS=sequence",
			"STEPAGENT_ALLOW_FAULTS=1", "STEPAGENT_ALLOW=loopback,,all", "STEPAGENT_LIMITS_CONNECTIONS=1e3", "STEPAGENT_SESSION_IDLE_TIMEOUT=30",
			"STEPAGENT_SESSION_STEPS=010", "STEPAGENT_TIMEOUT=3s", "STEPAGENT_JUDGING_CAP=1ms"},
		Set: map[string]string{"port": "99999999999999999999", "log.format": "xml", "prt": "1", "admin.socket": "a",
			"timeout": "4", "stop.grace": "+5", "host": "\x1b[31m"},
	})
	want := []string{
		`x.toml:1:1: port: want a whole number, got the number 0.5; write a number from 0 to 65535`,
		`STEPAGENT_ALLOW: "" is no network; write an address, a prefix such as "192.0.2.0/24", or one of loopback, private, link-local, all`,
		`STEPAGENT_ALLOW_FAULTS: want true or false, got "1"`,
		`STEPAGENT_FOO: stepagent knows no such variable; unset it`,
		`STEPAGENT_JUDGING_CAP: judging.floor is 1s, more than judging.cap, 1ms; lower the floor or raise the cap`,
		`STEPAGENT_LIMITS_CONNECTIONS: want a whole number from 1 to 1048576, got "1e3"`,
		`STEPAGENT_PROT: stepagent knows no such variable; did you mean STEPAGENT_PORT?`,
		`STEPAGENT_SESSION_IDLE_TIMEOUT: the number 30 has no unit; write "30s" for seconds, or use ms, m or h`,
		`STEPAGENT_SESSION_STEPS: want a whole number from 1 to 1000000, got "010"`,
		`STEPAGENT_TIMEOUT: "3s" is no number of seconds; write one such as 5 or 0.5, without a unit`,
		`STEPAGENT_VALIDATORS: is set in the file only; unset the variable`,
		`--admin-socket: "a" is not an absolute path; begin it with /`,
		`--host: "\x1b[31m" is no address and no host name; write one such as "192.0.2.7" or "board-3.lan"`,
		`--log-format: "xml" is not one of auto, tint, text, json`,
		`--port: want a whole number from 0 to 65535, got "99999999999999999999"`,
		`--prt: the config has no key "prt"; did you mean port?`,
		`--stop-grace: the number +5 has no unit; write "+5s" for seconds, or use ms, m or h`,
		`--timeout: sets the seconds of the validator min_timeout, and the config names no such validator; ` +
			`add one with name = "min_timeout", or leave this out`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the problems differ (-want +got):\n%s", diff)
	}
}

// TestTimeoutText: what strconv takes for a number is not all a number of seconds.
func TestTimeoutText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"-1", "-0", "NaN", "Inf", "1e400", "4e9", "5s", " 5", "five"} {
		got := refused(t, config.Sources{Set: map[string]string{"timeout": text}})
		if len(got) != 1 || !strings.HasPrefix(got[0], "--timeout: ") {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// TestSyntaxErrorHidesNoVariable: what can be told without the file is told too, and nothing
// is said that the file might have put right.
func TestSyntaxErrorHidesNoVariable(t *testing.T) {
	t.Parallel()
	got := refused(t, config.Sources{File: write(t, "x.toml", "port ="),
		Environ: []string{"STEPAGENT_JUDGING_CAP=1ms", "STEPAGENT_PORT=x"}})
	if len(got) != 2 || !strings.HasPrefix(got[0], "x.toml:1:") || !strings.HasPrefix(got[1], "STEPAGENT_PORT: ") {
		t.Errorf("problems: %q", got)
	}
}

// TestLowerLimitForAllIsOneForEach: who lowers the one limit need not know of the other.
func TestLowerLimitForAllIsOneForEach(t *testing.T) {
	t.Parallel()
	l, err := config.Load(config.Sources{Environ: []string{"STEPAGENT_LIMITS_CONNECTIONS=2", "STEPAGENT_LIMITS_SESSIONS=3"}})
	if err != nil {
		t.Fatal(err)
	}
	if l.Limits.Connections != 2 || l.Limits.ConnectionsPerAddress != 2 {
		t.Errorf("got %+v, want 2 connections in all and from each address", l.Limits)
	}
	if l.Limits.Sessions != 3 || l.Limits.SessionsPerAddress != 3 {
		t.Errorf("got %+v, want 3 sessions in all and from each address", l.Limits)
	}
}

// TestFoldersAreInTheStateDirectory of the service, unless others are set: several agents of one
// machine have one each.
func TestFoldersAreInTheStateDirectory(t *testing.T) {
	t.Parallel()
	for dirs, want := range map[string]string{"/var/lib/stepagent@a": "/var/lib/stepagent@a", "/a:/b": "/a", "": "/var/lib/stepagent"} {
		environ := []string{"STATE_DIRECTORY=/x", "STATE_DIRECTORY=" + dirs}
		if got := load(t, config.Sources{Environ: environ}); got.Record.Dir != want+"/record" || got.Session.Dir != want+"/sessions" {
			t.Errorf("with STATE_DIRECTORY=%s the record is in %s and the sessions in %s, want both in %s", dirs, got.Record.Dir, got.Session.Dir, want)
		}
		set := config.Sources{Environ: environ, File: write(t, "x.toml", "record.dir = \"/y\"\nsession.dir = \"/z\"")}
		if got := load(t, set); got.Record.Dir != "/y" || got.Session.Dir != "/z" {
			t.Errorf("the record is in %s and the sessions in %s, want what the file says", got.Record.Dir, got.Session.Dir)
		}
	}
}
