package agent_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A sourceFile is one Go file of the module.
type sourceFile struct {
	path   string // slash-separated, from the root of the module
	text   []byte
	syntax *ast.File // without comments
}

func (f *sourceFile) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

func (f *sourceFile) isGenerated() bool { return strings.HasSuffix(f.path, ".pb.go") }

// folder returns the import path below the module's.
func (f *sourceFile) folder() string { return path.Dir(f.path) }

// positions are those of all source files.
var positions = token.NewFileSet()

// readSources parses every Go file of the module once, in this process so that the cached result of
// a test depends on what it read.
var readSources = sync.OnceValues(func() (files []*sourceFile, err error) {
	const root = ".."
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && name != root:
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		syntax, err := parser.ParseFile(positions, relative, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, &sourceFile{relative, text, syntax})
		return nil
	})
	return files, err
})

// sources returns the Go files of the module.
func sources(t *testing.T) []*sourceFile {
	t.Helper()
	files, err := readSources()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 100 {
		t.Fatalf("only %d Go files were found", len(files))
	}
	return files
}

// code returns the Go files of the module that are neither tests nor generated.
func code(t *testing.T) (files []*sourceFile) {
	t.Helper()
	for _, f := range sources(t) {
		if !f.isTest() && !f.isGenerated() {
			files = append(files, f)
		}
	}
	return files
}
