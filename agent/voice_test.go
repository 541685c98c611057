package agent_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/testkit/voicetest"
)

// speakers matches the functions whose string literals are errors or log lines, as they are called.
var speakers = regexp.MustCompile(`^(errors\.New|fmt\.Errorf|.*\bUsagef|.*\.(fail|warn)|.*[a-z]rrorf|.*\b[pP]roblem|cannot|(p|problems)\.Add|` +
	`(.*\.)?([lL]og|[lL]ogger)\.(Debug|Info|Warn|Error)(Context)?)$`)

// TestVoice: errors and log lines in the source of the module keep to the voice that package cli
// states, and no text at all has its banned words.
func TestVoice(t *testing.T) {
	heard := 0
	err := filepath.WalkDir("..", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "node_modules"):
			return fs.SkipDir
		case !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, ".pb.go"),
			entry.Name() == "voicetest.go":
			return nil
		}
		files := token.NewFileSet()
		parsed, err := parser.ParseFile(files, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if text, ok := literal(n); ok {
				if word := voicetest.Words(text); word != "" && !strings.HasPrefix(word, "!") {
					t.Errorf("%s: %q has %s", files.Position(n.Pos()), text, word)
				}
			}
			call, ok := n.(*ast.CallExpr)
			if !ok || !speakers.MatchString(callee(call.Fun)) {
				return true
			}
			for _, arg := range call.Args {
				if text, ok := beginning(arg); ok && strings.Contains(text, " ") {
					heard++
					if wrong := voicetest.Line(text); wrong != "" {
						t.Errorf("%s: %q %s", files.Position(arg.Pos()), text, wrong)
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if heard < 500 {
		t.Errorf("only %d errors and log lines were found", heard)
	}
}

func literal(n ast.Node) (string, bool) {
	if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
		text, err := strconv.Unquote(lit.Value)
		return text, err == nil
	}
	return "", false
}

// beginning returns the literal that an expression is or, as a sum of strings, begins with; of a
// sum of literals the whole.
func beginning(e ast.Expr) (string, bool) {
	if sum, ok := e.(*ast.BinaryExpr); ok && sum.Op == token.ADD {
		left, ok := beginning(sum.X)
		if right, isLiteral := literal(sum.Y); isLiteral {
			return left + right, ok
		}
		return strings.TrimRight(left, ".!") + "%s", ok // what follows is no end of it
	}
	return literal(e)
}

// callee returns the name of a function as it is called, such as a.options.Log.Info.
func callee(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return callee(e.X) + "." + e.Sel.Name
	}
	return ""
}
