package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// A module is the part of a module that a command links. "go list -json" has the exported fields.
type module struct {
	Path, Version string
	Dir           string   // its root; a folder below can have a licence of its own
	Main          bool     // the module of the command
	files         []string // the source files of the linked packages
}

// A listedPackage is a package in the output of "go list -json".
type listedPackage struct {
	Dir, Root               string
	Module                  *module // nil for the standard library
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
	return slices.SortedFunc(maps.Values(modules), func(a, b *module) int { return cmp.Compare(a.Path, b.Path) }), nil
}

// list returns pkg and its dependencies.
func list(pkg, tags, goos, goarch string) ([]listedPackage, error) {
	cmd := exec.Command("go", "list", "-deps", "-tags", tags, "-json=Dir,Root,Module,GoFiles,SFiles,HFiles", pkg)
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
	m := p.Module
	if m == nil {
		m = &module{Path: "std", Version: runtime.Version(), Dir: p.Root} // "go run" runs this as the go that builds
	}
	if modules[m.Path] == nil {
		modules[m.Path] = m
	}
	m = modules[m.Path]
	for _, name := range slices.Concat(p.GoFiles, p.SFiles, p.HFiles) {
		m.files = append(m.files, filepath.Join(p.Dir, name))
	}
}

// read reads the files whose names match, in the folders of the linked packages and in their parents
// up to the root of the module.
func (m *module) read(pattern *regexp.Regexp) (files, texts []string, err error) {
	seen := map[string]bool{}
	for _, file := range m.files {
		for dir := filepath.Dir(file); !seen[dir]; dir = filepath.Dir(dir) {
			seen[dir] = true
			entries, err := os.ReadDir(dir)
			if err != nil {
				return nil, nil, err
			}
			for _, entry := range entries {
				if entry.Type().IsRegular() && pattern.MatchString(entry.Name()) {
					files = append(files, filepath.Join(dir, entry.Name()))
				}
			}
			if dir == m.Dir {
				break
			}
		}
	}
	slices.Sort(files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, err
		}
		texts = append(texts, string(text))
	}
	return files, texts, nil
}
