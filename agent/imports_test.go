// Package agent_test holds the architecture to its plan.
package agent_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/stepagent/stepagent/"

// floors is the import plan, ground up: a package imports packages of lower floors only, so
// that calls go down and values come back. docs/architecture.md goes through it floor by
// floor.
var floors = [][]string{
	{
		"agent/internal/shared/asyncwriter",
		"agent/internal/shared/jsonl",
	},
	{
		"agent/internal/agent/latency",
		"agent/internal/agent/livepage",
		"agent/internal/agent/signals",
		"agent/internal/agent/systemd",
		"agent/internal/client/capture/packet",
		"agent/internal/client/history/statistics",
		"agent/internal/client/phrase",
		"agent/internal/client/schedule",
		"agent/internal/shared/eventloop",
		"agent/internal/shared/logging",
		"agent/internal/shared/manual",
		"agent/internal/shared/natsconn",
		"agent/internal/shared/outfile",
		"agent/internal/shared/problem",
		"agent/internal/shared/stepfile",
		"agent/internal/shared/trustedpath",
		"agent/internal/shared/version",
		"agent/internal/testkit/cataloguetest",
		"agent/internal/testkit/certtest",
		"agent/internal/testkit/freeport",
		"agent/internal/testkit/soaktest",
		"agent/internal/testkit/voicetest",
		"agent/protocol",
		"packaging/tools/pictures",
		"packaging/tools/testreport",
		"packaging/tools/transcript",
		"plugins/validator",
	},
	{
		"agent/client",
		"agent/internal/agent/eventstream",
		"agent/internal/agent/filewatch",
		"agent/internal/agent/judge",
		"agent/internal/agent/pluginhost/program",
		"agent/internal/agent/sessionstore",
		"agent/internal/client/boards",
		"agent/internal/client/capture",
		"agent/internal/client/capture/live",
		"agent/internal/client/database/spool",
		"agent/internal/client/record",
		"agent/internal/shared/auditlog",
		"agent/internal/shared/certificate",
		"agent/internal/shared/cli",
		"agent/internal/shared/config",
		"agent/internal/shared/fleet",
		"agent/internal/shared/weblistener",
		"agent/internal/testkit/natstest",
		"agent/internal/testkit/testvectors",
		"plugins/sdk/proto/stepagent/validator/v1",
		"plugins/validatortest",
	},
	{
		"agent/internal/agent/auditwriter",
		"agent/internal/agent/fleetcontrol",
		"agent/internal/agent/outbox",
		"agent/internal/agent/session",
		"agent/internal/agent/sessionstore/natsstore",
		"agent/internal/agent/verdictcache",
		"agent/internal/client/fleetview",
		"agent/internal/client/htmlkit",
		"agent/internal/client/database",
		"agent/internal/client/fleetrun",
		"agent/internal/client/capture/tlsrecord",
		"agent/internal/client/tlsdial",
		"agent/internal/client/verify/match",
		"agent/internal/client/verify/result",
		"agent/internal/testkit/capturetest",
		"plugins/faults",
		"plugins/mintimeout",
		"plugins/pacing",
		"plugins/rules",
		"plugins/sdk",
		"plugins/sequence",
	},
	{
		"agent/internal/agent/pluginhost/process",
		"agent/internal/agent/pluginhost/stream",
		"agent/internal/agent/server",
		"agent/internal/client/collect",
		"agent/internal/client/database/databasetest",
		"agent/internal/client/load",
		"agent/internal/client/queue",
		"agent/internal/client/report",
		"agent/internal/client/runner",
		"agent/internal/client/verify/replay",
		"plugins/bundled",
		"plugins/examples/steady",
		"plugins/examples/voltage",
	},
	{
		"agent/internal/agent/pluginhost",
		"agent/internal/client/history",
		"agent/internal/client/report/html",
		"agent/internal/client/report/junit",
		"agent/internal/client/report/tap",
		"agent/internal/client/worker",
	},
	{
		"agent/internal/agent/api",
		"agent/internal/agent/conformance",
		"agent/internal/agent/metrics",
		"agent/internal/client/verify",
		"agent/internal/client/verify/agentrules",
		"agent/internal/client/web",
	},
	{
		"agent/internal/agent/daemon",
	},
	{
		"agent/cmd/stepagent",
		"agent/cmd/stepctl",
	},
	{
		"packaging/testdata/bench",
		"packaging/testdata/even",
		"packaging/tools/changelog",
		"packaging/tools/copyright",
	},
}

// cargo are files that commands carry; these packages import nothing and anybody may import
// them.
var cargo = []string{"configs", "testdata"}

// homes says which packages alone may import a library, and why they keep it to themselves.
var homes = map[string]struct {
	packages []string
	why      string
}{
	"github.com/spf13/viper":          {[]string{"agent/internal/shared/config"}, "it is not safe for concurrent use after the load"},
	"github.com/hashicorp/go-plugin":  {[]string{"plugins/sdk", "agent/internal/agent/pluginhost/process"}, "it needs a supervisor around it"},
	"google.golang.org/grpc":          {[]string{"plugins/sdk", "plugins/sdk/proto/stepagent/validator/v1", "agent/internal/agent/pluginhost/stream"}, "the agent and its validators speak through the contract"},
	"google.golang.org/protobuf":      {[]string{"plugins/sdk", "plugins/sdk/proto/stepagent/validator/v1", "agent/internal/agent/pluginhost/stream"}, "as grpc"},
	"github.com/prometheus":           {[]string{"agent/internal/agent/metrics"}, "what is counted does not depend on who asks for it"},
	"github.com/hashicorp/golang-lru": {[]string{"agent/internal/agent/verdictcache"}, "a table that clients can fill is bounded in bytes"},
	"github.com/spf13/cobra/doc":      {[]string{"agent/internal/shared/manual"}, "installed commands carry no generator of man pages"},
	"github.com/expr-lang/expr":       {[]string{"plugins/rules"}, "an expression must be bounded before it is run"},
	"github.com/coreos/go-systemd":    {[]string{"agent/internal/agent/systemd"}, "the service manager is spoken to in one place"},
	"github.com/gopacket/gopacket":    {[]string{"agent/internal/client/capture", "agent/internal/client/capture/live", "agent/internal/client/capture/packet", "agent/internal/testkit/capturetest"}, "packets are taken apart in one place"},
	"github.com/danielgtaylor/huma":   {[]string{"agent/internal/agent/api"}, "what is served and its description come from one place"},
	"github.com/robfig/cron":          {[]string{"agent/internal/client/schedule"}, "its time zones and clock changes are not those that plans promise"},
	"github.com/aclements":            {[]string{"agent/internal/client/history/statistics"}, "whether something changed is decided in one place"},
	"modernc.org/sqlite":              {[]string{"agent/internal/client/database"}, "engines differ in one place, and the agent links none"},
	"github.com/nats-io/nats-server":  {[]string{"agent/internal/testkit/natstest"}, "a server is for tests alone"},
	"github.com/jackc/pgx/v5":         {[]string{"agent/internal/client/database"}, "as modernc.org/sqlite"},
	"github.com/lmittmann/tint":       {[]string{"agent/internal/shared/logging"}, "how lines look is decided in one place"},
}

// groups are the folders that say what a package is for, and what each may not import. Client and
// agent share the protocol and what lies in shared; only verify, which judges a capture with the
// agent's own rules, imports both sides. Aids for tests are imported by tests alone, which this
// test does not read.
var groups = map[string]struct {
	not    []string
	except string
}{
	"agent/client":           {[]string{"agent/internal/agent", "agent/internal/testkit"}, ""},
	"agent/cmd":              {[]string{"agent/internal/testkit"}, ""},
	"agent/cmd/stepagent":    {[]string{"agent/internal/client/database"}, ""},
	"agent/internal/agent":   {[]string{"agent/internal/client", "agent/client", "agent/internal/testkit"}, ""},
	"agent/internal/client":  {[]string{"agent/internal/agent", "agent/internal/testkit"}, "agent/internal/client/verify"},
	"agent/internal/shared":  {[]string{"agent/internal/agent", "agent/internal/client", "agent/client", "agent/internal/testkit"}, ""},
	"agent/internal/testkit": {[]string{"agent/internal/agent"}, ""},
	"agent/protocol":         {[]string{"agent/internal", "agent/client"}, ""},
	"plugins":                {[]string{"agent"}, ""},
}

func TestImportPlan(t *testing.T) {
	floor := map[string]int{}
	for n, packages := range floors {
		for _, p := range packages {
			floor[p] = n
		}
	}
	for _, p := range cargo {
		floor[p] = -1
	}
	imports := readImports(t)
	for _, importer := range slices.Sorted(maps.Keys(imports)) {
		own, planned := floor[importer]
		if !planned {
			t.Errorf("%s is on no floor: give it one here and in docs/architecture.md", importer)
			continue
		}
		for _, imported := range imports[importer] {
			checkImport(t, importer, own, imported)
		}
	}
	maps.DeleteFunc(floor, func(p string, _ int) bool { _, ok := imports[p]; return ok })
	for p := range floor {
		t.Errorf("%s is on a floor and does not exist", p)
	}
}

func checkImport(t *testing.T, importer string, own int, imported string) {
	t.Helper()
	for library, home := range homes {
		if (imported == library || strings.HasPrefix(imported, library+"/")) && !slices.Contains(home.packages, importer) {
			t.Errorf("%s imports %s, which only %v may: %s", importer, imported, home.packages, home.why)
		}
	}
	imported, ours := strings.CutPrefix(imported, module)
	if !ours {
		if importer == "plugins/validator" && strings.Contains(imported, ".") {
			t.Errorf("%s imports %s: the contract needs the standard library only", importer, imported)
		}
		return
	}
	if n, ok := floorOf(floors, imported); ok && n >= own || slices.Contains(cargo, importer) {
		t.Errorf("%s (floor %d) imports %s (floor %d): imports go down", importer, own, imported, n)
	}
	for group, rule := range groups {
		if rule.except != "" && below(importer, rule.except) || !below(importer, group) {
			continue
		}
		for _, folder := range rule.not {
			if below(imported, folder) {
				t.Errorf("%s imports %s: nothing in %s may import %s", importer, imported, group, folder)
			}
		}
	}
}

// below reports whether a package is the folder or lies in it.
func below(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }

func floorOf(floors [][]string, p string) (int, bool) {
	for n, packages := range floors {
		if slices.Contains(packages, p) {
			return n, true
		}
	}
	return 0, false
}

// readImports returns what each package of the module imports. Test files may import what they like.
func readImports(t *testing.T) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	for _, f := range sources(t) {
		if f.isTest() {
			continue
		}
		imported := imports[f.folder()]
		for _, spec := range f.syntax.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			imported = append(imported, name)
		}
		imports[f.folder()] = imported
	}
	return imports
}
