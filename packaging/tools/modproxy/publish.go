package main

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"
)

// maxArchiveBytes bounds the archive, which every user of a command or package downloads.
const maxArchiveBytes = 4 << 20

// captures are the extensions of packet captures, which are much larger than source files.
var captures = []string{".pcap", ".pcapng", ".cap"}

// A published module is an archive in the folder of a proxy.
type published struct {
	module module.Version
	files  int
	size   int64 // of the archive, in bytes
}

// A source is a module to publish: its go.mod, and a function that writes its archive.
type source struct {
	mod   []byte
	write func(to io.Writer, m module.Version) error
}

// atRevision returns the module at a revision of a repository.
func atRevision(repository, revision string) (source, error) {
	mod, err := show(repository, revision, "go.mod")
	return source{mod, func(to io.Writer, m module.Version) error {
		return modzip.CreateFromVCS(to, m, repository, revision, "")
	}}, err
}

// publish writes a module to the proxy in dir, as version.
func publish(from source, version, dir string, now time.Time) (published, error) {
	file, err := modfile.Parse("go.mod", from.mod, nil)
	if err != nil {
		return published{}, err
	}
	if len(file.Replace) > 0 || len(file.Exclude) > 0 {
		return published{}, errors.New("go.mod has replace or exclude lines, with which go install refuses the module")
	}
	p := published{module: module.Version{Path: file.Module.Mod.Path, Version: version}}
	if err := module.Check(p.module.Path, version); err != nil {
		return published{}, err
	}
	escaped, err := module.EscapePath(p.module.Path)
	if err != nil {
		return published{}, err
	}
	at := filepath.Join(dir, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		return published{}, err
	}
	archive := filepath.Join(at, version+".zip")
	if err := writeArchive(archive, p.module, from); err != nil {
		return published{}, err
	}
	if p.files, p.size, err = check(archive); err != nil {
		return published{}, err
	}
	info, err := json.Marshal(map[string]any{"Version": version, "Time": now.UTC().Format(time.RFC3339)})
	if err != nil {
		return published{}, err
	}
	return p, errors.Join(
		os.WriteFile(filepath.Join(at, version+".mod"), from.mod, 0o644),
		os.WriteFile(filepath.Join(at, version+".info"), info, 0o644),
		os.WriteFile(filepath.Join(at, "list"), []byte(version+"\n"), 0o644))
}

// show returns a file at a revision.
func show(repository, revision, name string) ([]byte, error) {
	out, err := exec.Command("git", "-C", repository, "show", revision+":"+name).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("git show %s:%s: %s", revision, name, strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}

// writeArchive writes the zip archive of a module by the rules of the module tools.
func writeArchive(name string, m module.Version, from source) (err error) {
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := from.write(out, m); err != nil {
		return fmt.Errorf("the archive of %s: %w", m, err)
	}
	return nil
}

// check enforces the limits of this repository on the archive.
func check(archive string) (files int, size int64, err error) {
	info, err := os.Stat(archive)
	if err != nil {
		return 0, 0, err
	}
	if info.Size() > maxArchiveBytes {
		return 0, 0, fmt.Errorf("the archive has %d bytes; at most %d are allowed", info.Size(), maxArchiveBytes)
	}
	r, err := zip.OpenReader(archive)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = r.Close() }()
	for _, f := range r.File {
		if slices.Contains(captures, strings.ToLower(path.Ext(f.Name))) {
			return 0, 0, fmt.Errorf("the archive holds a capture, %s; keep it in pcap/, which is a module of its own", f.Name)
		}
	}
	return len(r.File), info.Size(), nil
}
