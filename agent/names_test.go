package agent_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// codeName is a name of the code in a document: a package, and a function, a type or a method of a
// type in it.
var codeName = regexp.MustCompile("`([a-z]+(?:\\.[A-Za-z]+){1,2})`")

// TestArchitectureNames: the names of the code in docs/architecture.md exist.
func TestArchitectureNames(t *testing.T) {
	page, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	packages, names := definitions(t)
	found := 0
	for _, match := range codeName.FindAllSubmatch(page, -1) {
		name := string(match[1])
		if of, _, _ := strings.Cut(name, "."); !packages[of] || strings.HasSuffix(name, ".md") {
			continue // a key of the config, or a page
		}
		found++
		if !names[name] {
			t.Errorf("docs/architecture.md names %s, which does not exist", name)
		}
	}
	if found < 20 {
		t.Errorf("%d names were found; the page follows a step by name", found)
	}
}

// definitions returns the packages of the module and what they define at their top level.
func definitions(t *testing.T) (packages, names map[string]bool) {
	t.Helper()
	packages, names = map[string]bool{}, map[string]bool{}
	for _, root := range []string{"../agent", "../plugins"} {
		err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			packages[parsed.Name.Name] = true
			for _, name := range defined(parsed) {
				names[parsed.Name.Name+"."+name] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return packages, names
}

func defined(file *ast.File) (names []string) {
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names = append(names, receiver(d)+d.Name.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if t, ok := spec.(*ast.TypeSpec); ok {
					names = append(names, t.Name.Name)
				}
			}
		}
	}
	return names
}

// receiver returns the type of a method and a point; nothing for a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	of := d.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	if name, ok := of.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}
