package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A module is what a command links of it.
type module struct {
	path, version string
	dir           string   // its root; everything below may have a licence of its own
	main          bool     // whether it is the command's own
	folders       []string // of the linked packages
	files         []string // their source files
}

// standard is the name of the standard library among the modules.
const standard = "std"

// listed is a package as "go list -json" tells it.
type listed struct {
	Dir      string
	Standard bool
	Module   *struct {
		Path, Version, Dir string
		Main               bool
	}
	GoFiles, SFiles, HFiles []string
}

// linked returns the modules that pkg is made of on any of the targets, by path.
func linked(pkg, tags string, targets []string) ([]*module, error) {
	modules := map[string]*module{}
	for _, target := range targets {
		goos, goarch, ok := strings.Cut(target, "/")
		if !ok {
			return nil, fmt.Errorf("target %q is not GOOS/GOARCH", target)
		}
		packages, err := list(pkg, tags, goos, goarch)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", target, err)
		}
		for _, p := range packages {
			add(modules, p)
		}
	}
	paths := make([]string, 0, len(modules))
	for p := range modules {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	sorted := make([]*module, 0, len(paths))
	for _, p := range paths {
		sorted = append(sorted, modules[p])
	}
	return sorted, nil
}

// list asks the go command for pkg and all that it needs.
func list(pkg, tags, goos, goarch string) ([]listed, error) {
	cmd := exec.Command("go", "list", "-deps", "-tags", tags, "-json=Dir,Standard,Module,GoFiles,SFiles,HFiles", pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var packages []listed
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		switch err := decoder.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages, nil
		case err != nil:
			return nil, fmt.Errorf("what go list printed: %w", err)
		}
		packages = append(packages, p)
	}
}

// add puts a package to its module.
func add(modules map[string]*module, p listed) {
	m := module{path: standard, version: runtime.Version()} // "go run" runs this as the go that builds
	switch {
	case p.Module != nil:
		m = module{path: p.Module.Path, version: p.Module.Version, dir: p.Module.Dir, main: p.Module.Main}
	case p.Standard:
		m.dir = goroot(p.Dir)
	}
	if modules[m.path] == nil {
		modules[m.path] = &m
	}
	in := modules[m.path]
	if !slices.Contains(in.folders, p.Dir) {
		in.folders = append(in.folders, p.Dir)
	}
	for _, name := range slices.Concat(p.GoFiles, p.SFiles, p.HFiles) {
		if file := filepath.Join(p.Dir, name); !slices.Contains(in.files, file) {
			in.files = append(in.files, file)
		}
	}
}

// goroot returns the root that a folder of the standard library lies in.
func goroot(dir string) string {
	root, _, _ := strings.Cut(filepath.ToSlash(dir), "/src/")
	return filepath.FromSlash(root)
}

// legal returns the files with one of the names, such as LICENSE, that stand above the linked
// packages: in their folders and those up to the root of the module.
func (m *module) legal(names ...string) ([]string, error) {
	var found []string
	seen := map[string]bool{}
	for _, folder := range m.folders {
		for dir := folder; !seen[dir]; dir = filepath.Dir(dir) {
			seen[dir] = true
			entries, err := os.ReadDir(dir)
			if err != nil {
				return nil, err
			}
			for _, entry := range entries {
				if entry.Type().IsRegular() && isNamed(entry.Name(), names) {
					found = append(found, filepath.Join(dir, entry.Name()))
				}
			}
			if dir == m.dir {
				break
			}
		}
	}
	slices.Sort(found)
	return found, nil
}

// isNamed says whether a file is one of names, in any case and with any of the usual endings.
func isNamed(file string, names []string) bool {
	stem := strings.ToUpper(strings.TrimSuffix(file, path.Ext(file)))
	if ext := strings.ToLower(path.Ext(file)); ext != "" && ext != ".txt" && ext != ".md" {
		return false
	}
	return slices.Contains(names, stem)
}
