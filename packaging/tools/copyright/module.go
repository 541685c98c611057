package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A module is the part of a module that a command links.
type module struct {
	path, version string
	dir           string   // its root; a folder below can have a licence of its own
	main          bool     // the module of the command
	folders       []string // of the linked packages
	files         []string // their source files
}

// standard is the name of the standard library among the modules.
const standard = "std"

// A listedPackage is a package in the output of "go list -json".
type listedPackage struct {
	Dir      string
	Standard bool
	Module   *struct {
		Path, Version, Dir string
		Main               bool
	}
	GoFiles, SFiles, HFiles []string
}

// linked returns the modules linked into pkg for any of the targets, sorted by path.
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
	sorted := slices.Collect(maps.Values(modules))
	slices.SortFunc(sorted, func(a, b *module) int { return cmp.Compare(a.path, b.path) })
	return sorted, nil
}

// list returns pkg and its dependencies.
func list(pkg, tags, goos, goarch string) ([]listedPackage, error) {
	cmd := exec.Command("go", "list", "-deps", "-tags", tags, "-json=Dir,Standard,Module,GoFiles,SFiles,HFiles", pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var packages []listedPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var p listedPackage
		if err := decoder.Decode(&p); err != nil {
			return nil, fmt.Errorf("output of go list: %w", err)
		}
		packages = append(packages, p)
	}
	return packages, nil
}

// add adds a package to its module.
func add(modules map[string]*module, p listedPackage) {
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

// goroot returns the GOROOT of a folder of the standard library.
func goroot(dir string) string {
	root, _, _ := strings.Cut(filepath.ToSlash(dir), "/src/")
	return filepath.FromSlash(root)
}

// filesNamed returns the files with one of the names, such as LICENSE, in the folders of the linked
// packages and in their parents up to the root of the module.
func (m *module) filesNamed(names ...string) ([]string, error) {
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

// isNamed reports whether a file has one of the names, in any case, with a usual extension or none.
func isNamed(file string, names []string) bool {
	stem := strings.ToUpper(strings.TrimSuffix(file, path.Ext(file)))
	if ext := strings.ToLower(path.Ext(file)); ext != "" && ext != ".txt" && ext != ".md" {
		return false
	}
	return slices.Contains(names, stem)
}
