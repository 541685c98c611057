// Package agent_test holds the architecture to its plan.
package agent_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
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
	{"plugins/validator", "agent/protocol", "agent/internal/eventloop", "agent/internal/logging", "agent/internal/outfile", "agent/internal/porttest", "agent/internal/signals", "agent/internal/stepfile", "agent/internal/version", "agent/internal/manual", "agent/internal/systemd", "agent/internal/trail", "agent/internal/trustedpath", "docs/transcript", "docs/testreport"},
	{"plugins/sdk/proto/stepagent/validator/v1", "plugins/validatortest", "agent/client", "agent/internal/config", "agent/internal/filewatch", "agent/internal/record", "agent/internal/judge", "agent/internal/journal", "agent/internal/wirevectors", "agent/internal/capture"},
	{"plugins/sdk", "agent/internal/capturetest", "agent/internal/session", "agent/internal/verdictcache", "agent/internal/runner", "agent/internal/load", "plugins/sequence", "plugins/mintimeout", "plugins/pacing", "plugins/rules", "plugins/faults"},
	{"plugins/bundled", "plugins/examples/voltage", "plugins/examples/steady", "agent/internal/pluginhost", "agent/internal/server", "agent/internal/report"},
	{"agent/internal/conformance", "agent/internal/daemon", "agent/internal/verify", "agent/internal/report/html", "agent/internal/report/junit", "agent/internal/report/tap"},
	{"agent/cmd/stepagent", "agent/cmd/stepctl"},
	{"packaging/acceptance/bench", "packaging/changelog", "packaging/copyright", "packaging/modproxy", "packaging/testdata/even"},
}

// cargo are files that commands carry; these packages import nothing and anybody may import
// them.
var cargo = []string{"configs", "testdata"}

// homes says which packages alone may import a library, and why they keep it to themselves.
var homes = map[string]struct {
	packages []string
	why      string
}{
	"github.com/spf13/viper":          {[]string{"agent/internal/config"}, "it is not safe for concurrent use after the load"},
	"github.com/hashicorp/go-plugin":  {[]string{"plugins/sdk", "agent/internal/pluginhost"}, "it needs a supervisor around it"},
	"google.golang.org/grpc":          {[]string{"plugins/sdk", "plugins/sdk/proto/stepagent/validator/v1", "agent/internal/pluginhost"}, "the agent and its validators speak through the contract"},
	"google.golang.org/protobuf":      {[]string{"plugins/sdk", "plugins/sdk/proto/stepagent/validator/v1", "agent/internal/pluginhost"}, "as grpc"},
	"github.com/hashicorp/golang-lru": {[]string{"agent/internal/verdictcache"}, "a table that clients can fill is bounded in bytes"},
	"github.com/spf13/cobra/doc":      {[]string{"agent/internal/manual"}, "installed commands carry no generator of man pages"},
	"github.com/expr-lang/expr":       {[]string{"plugins/rules"}, "an expression must be bounded before it is run"},
	"github.com/coreos/go-systemd":    {[]string{"agent/internal/systemd"}, "the service manager is spoken to in one place"},
	"github.com/gopacket/gopacket":    {[]string{"agent/internal/capture", "agent/internal/capturetest"}, "packets are taken apart in one place"},
	"github.com/lmittmann/tint":       {[]string{"agent/internal/logging"}, "how lines look is decided in one place"},
}

// sides never meet but in the protocol and the contract.
var (
	clientSide = []string{"agent/client", "agent/internal/load", "agent/internal/record", "agent/internal/runner", "agent/internal/report", "agent/internal/report/html", "agent/internal/report/junit", "agent/internal/report/tap", "agent/internal/stepfile"}
	daemonSide = []string{"agent/internal/config", "agent/internal/judge", "agent/internal/journal", "agent/internal/session", "agent/internal/verdictcache", "agent/internal/pluginhost", "agent/internal/server", "agent/internal/systemd", "agent/internal/daemon"}
)

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
	if strings.HasPrefix(importer, "plugins/") && strings.HasPrefix(imported, "agent/") {
		t.Errorf("%s imports %s: a validator needs nothing of the agent", importer, imported)
	}
	if slices.Contains(clientSide, importer) && slices.Contains(daemonSide, imported) ||
		slices.Contains(daemonSide, importer) && slices.Contains(clientSide, imported) {
		t.Errorf("%s imports %s: client and agent meet in agent/protocol only", importer, imported)
	}
}

func floorOf(floors [][]string, p string) (int, bool) {
	for n, packages := range floors {
		if slices.Contains(packages, p) {
			return n, true
		}
	}
	return 0, false
}

// readImports parses every Go file of the module, in this process so that the test's cached
// result depends on what it read. Test files may import what they like.
func readImports(t *testing.T) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	root := ".."
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && file != root:
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ImportsOnly)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		p := path.Dir(filepath.ToSlash(relative))
		if !slices.Contains(slices.Collect(maps.Keys(imports)), p) {
			imports[p] = nil
		}
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports[p] = append(imports[p], name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return imports
}
