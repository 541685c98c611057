package agent_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// A 64-bit integer in a struct may lie on an address that is not a multiple of 8 where the
// processor has 32 bits, and sync/atomic's functions panic there. Its types are aligned
// everywhere.
func TestNoBareAtomics(t *testing.T) {
	for _, f := range sources(t) {
		for _, use := range bareAtomics(f.syntax) {
			t.Errorf("%s: use atomic.Int64 or atomic.Uint64: a bare integer may not be aligned on 32-bit ARM", positions.Position(use))
		}
	}
}

func TestBareAtomics(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", `package x
import "sync/atomic"
var n int64; var m atomic.Int64; var i int32
func f() { atomic.AddInt64(&n, 1); m.Add(1); atomic.AddInt32(&i, 1); atomic.LoadUint64(nil) }`, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(bareAtomics(file)); got != 2 {
		t.Errorf("found %d, want 2", got)
	}
}

// bareAtomics returns where a file uses sync/atomic's functions for 64-bit integers.
func bareAtomics(file *ast.File) (found []token.Pos) {
	ast.Inspect(file, func(n ast.Node) bool {
		function, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := function.X.(*ast.Ident)
		if name := function.Sel.Name; ok && pkg.Name == "atomic" && name != "Int64" && name != "Uint64" &&
			(strings.HasSuffix(name, "Int64") || strings.HasSuffix(name, "Uint64")) {
			found = append(found, function.Pos())
		}
		return true
	})
	return found
}
