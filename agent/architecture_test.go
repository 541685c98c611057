package agent_test

import (
	"go/ast"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// codeName is a name of the code in docs/architecture.md: a package, and a function, a type or a
// method of a type in it.
var codeName = regexp.MustCompile("`([a-z]+(?:\\.[A-Za-z]+){1,2})`")

// TestArchitectureNames: the names of the code in docs/architecture.md exist.
func TestArchitectureNames(t *testing.T) {
	packages, names := definitions(t)
	found := 0
	for _, match := range codeName.FindAllStringSubmatch(architecture(t), -1) {
		name := match[1]
		if of, _, _ := strings.Cut(name, "."); !packages[of] || strings.HasSuffix(name, ".md") {
			continue // a config key or a page
		}
		found++
		if _, ok := names[name]; !ok {
			t.Errorf("docs/architecture.md names %s, which does not exist", name)
		}
	}
	if found < 20 {
		t.Errorf("%d names were found; the page follows a step by name", found)
	}
}

// TestArchitectureCalls: where docs/architecture.md says that one function calls others, its body
// mentions each of them. A call through an interface is found by the method's name.
func TestArchitectureCalls(t *testing.T) {
	const name = "`[a-z]+(?:\\.[A-Za-z]+){1,2}`"
	claim := regexp.MustCompile("(" + name + ")\\s+calls\\s+(" + name + "(?:(?:,|\\s+and)\\s+" + name + ")*)")
	_, names := definitions(t)
	claims := claim.FindAllStringSubmatch(architecture(t), -1)
	for _, c := range claims {
		caller := strings.Trim(c[1], "`")
		mentioned := mentions(names[caller])
		for _, match := range codeName.FindAllStringSubmatch(c[2], -1) {
			callee := match[1]
			if method := callee[strings.LastIndex(callee, ".")+1:]; !mentioned[method] {
				t.Errorf("docs/architecture.md says that %s calls %s, which it does not", caller, callee)
			}
		}
	}
	if len(claims) < 10 {
		t.Errorf("%d claims were found; the page follows a step call by call", len(claims))
	}
}

// TestArchitectureFloors: docs/architecture.md lists the floors and their packages as the import
// plan has them.
func TestArchitectureFloors(t *testing.T) {
	heading := regexp.MustCompile(`(?m)^### Floor (\d+)`)
	item := regexp.MustCompile("(?m)^- (`[^:]*`):")
	path := regexp.MustCompile("`([^`]+)`")
	page, _, _ := strings.Cut(architecture(t), "## Who runs when")
	starts := heading.FindAllStringSubmatchIndex(page, -1)
	if len(starts) != len(floors) {
		t.Fatalf("docs/architecture.md has %d floors, the import plan %d", len(starts), len(floors))
	}
	for n, at := range starts {
		if page[at[2]:at[3]] != strconv.Itoa(n) {
			t.Errorf("floor %d of the page is called %s", n, page[at[2]:at[3]])
		}
		end := len(page)
		if n+1 < len(starts) {
			end = starts[n+1][0]
		}
		var listed []string
		for _, items := range item.FindAllStringSubmatch(page[at[0]:end], -1) {
			for _, p := range path.FindAllStringSubmatch(items[1], -1) {
				listed = append(listed, p[1])
			}
		}
		for _, p := range floors[n] {
			if !slices.Contains(listed, p) {
				t.Errorf("floor %d of docs/architecture.md does not list %s", n, p)
			}
		}
		for _, p := range listed {
			if !slices.Contains(floors[n], p) {
				t.Errorf("floor %d of docs/architecture.md lists %s, which the import plan has elsewhere", n, p)
			}
		}
	}
}

func architecture(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// mentions returns the identifiers in the body of a function.
func mentions(f *ast.FuncDecl) map[string]bool {
	found := map[string]bool{}
	if f == nil || f.Body == nil {
		return found
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if name, ok := n.(*ast.Ident); ok {
			found[name.Name] = true
		}
		return true
	})
	return found
}

// definitions returns the packages of the module and what they define at their top level; a
// function with its declaration, anything else with nil.
func definitions(t *testing.T) (packages map[string]bool, names map[string]*ast.FuncDecl) {
	t.Helper()
	packages, names = map[string]bool{}, map[string]*ast.FuncDecl{}
	for _, f := range code(t) {
		if strings.HasPrefix(f.path, "packaging/") {
			continue
		}
		packages[f.syntax.Name.Name] = true
		for _, d := range f.syntax.Decls {
			define(names, f.syntax.Name.Name+".", d)
		}
	}
	return packages, names
}

func define(names map[string]*ast.FuncDecl, in string, d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		names[in+receiver(d)+d.Name.Name] = d
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if t, ok := spec.(*ast.TypeSpec); ok {
				names[in+t.Name.Name] = nil
			}
		}
	}
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
