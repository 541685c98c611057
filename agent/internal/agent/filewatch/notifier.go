package filewatch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/shared/trustedpath"
)

const (
	// namesMask are the events of names in a folder on the path to a file.
	namesMask = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ONLYDIR
	// filesMask are the events of files in the folder of the file itself.
	filesMask = namesMask | unix.IN_ATTRIB | unix.IN_MODIFY | unix.IN_CLOSE_WRITE
	// maxOpen bounds the files that are remembered as being written to.
	maxOpen = 1024
)

// A notifier receives the kernel's events of folders; see inotify(7).
type notifier struct {
	file   *os.File
	fd     int
	events chan event // nil where the kernel sends none

	folders map[int32]string // by watch
	wanted  map[string]bool  // paths that matter; a folder with "/" at its end for all in it
	open    map[string]bool  // paths that have been written to and are not closed
	moving  map[uint32]bool  // by cookie: whether what is renamed is being written to
}

// An event is struct inotify_event.
type event struct {
	watch        int32
	mask, cookie uint32
	name         string
}

func newNotifier() (*notifier, error) {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	n := &notifier{file: os.NewFile(uintptr(fd), "inotify"), fd: fd, events: make(chan event),
		folders: map[int32]string{}, wanted: map[string]bool{}, open: map[string]bool{}, moving: map[uint32]bool{}}
	go n.read(n.events)
	return n, nil
}

// read sends on the kernel's events until the notifier is closed.
func (n *notifier) read(events chan<- event) {
	defer close(events)
	buffer := make([]byte, 64<<10)
	for {
		got, err := n.file.Read(buffer)
		if err != nil {
			return
		}
		for _, e := range decode(buffer[:got]) {
			events <- e
		}
	}
}

// close ends the reader.
func (n *notifier) close() {
	_ = n.file.Close() // read only
	for range n.events {
		continue // so that it can see that
	}
}

// decode returns the events of one read.
func decode(b []byte) (all []event) {
	for len(b) >= unix.SizeofInotifyEvent {
		length := int(binary.NativeEndian.Uint32(b[12:]))
		if len(b) < unix.SizeofInotifyEvent+length {
			break
		}
		name := b[unix.SizeofInotifyEvent:][:length]
		all = append(all, event{watch: int32(binary.NativeEndian.Uint32(b)), mask: binary.NativeEndian.Uint32(b[4:]),
			cookie: binary.NativeEndian.Uint32(b[8:]), name: string(bytes.TrimRight(name, "\x00"))})
		b = b[unix.SizeofInotifyEvent+length:]
	}
	return all
}

// watch watches every folder on the paths, and no others. The error means that a file itself cannot
// be watched.
func (n *notifier) watch(paths []string) (err error) {
	if n.events == nil {
		return errors.New("inotify is not available")
	}
	masks := map[string]uint32{}
	n.wanted = map[string]bool{}
	for _, path := range paths {
		names := trustedpath.Folders(path)
		for i, name := range names {
			n.wanted[filepath.Join(name.Folder, name.Base)] = true
			masks[name.Folder] |= namesMask
			if i == len(names)-1 {
				masks[name.Folder] |= filesMask
			}
		}
		if real, resolveErr := filepath.EvalSymlinks(path); resolveErr == nil && isFolder(real) {
			masks[real] |= filesMask
			n.wanted[real+"/"] = true
		}
	}
	before := n.folders
	n.folders = map[int32]string{}
	for folder, mask := range masks {
		watch, addErr := unix.InotifyAddWatch(n.fd, folder, mask)
		if addErr != nil {
			if mask&unix.IN_MODIFY != 0 && !errors.Is(addErr, unix.ENOENT) {
				err = fmt.Errorf("inotify: %s: %w", folder, addErr)
			}
			continue
		}
		n.folders[int32(watch)] = folder
	}
	for watch := range before {
		if _, kept := n.folders[watch]; !kept {
			_, _ = unix.InotifyRmWatch(n.fd, uint32(watch)) // fails when it is gone with its folder
		}
	}
	return err
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// handle updates the open files from an event and reports whether it may be a change.
func (n *notifier) handle(e event) bool {
	if e.mask&unix.IN_Q_OVERFLOW != 0 {
		clear(n.open)
		clear(n.moving)
		return true
	}
	folder, known := n.folders[e.watch]
	if !known {
		return false
	}
	path := filepath.Join(folder, e.name)
	switch {
	case e.mask&unix.IN_MODIFY != 0 && len(n.open) < maxOpen:
		n.open[path] = true
	case e.mask&unix.IN_MOVED_FROM != 0:
		if n.open[path] && len(n.moving) < maxOpen {
			n.moving[e.cookie] = true
		}
		delete(n.open, path)
	case e.mask&unix.IN_MOVED_TO != 0:
		if n.moving[e.cookie] {
			n.open[path] = true
		} else {
			delete(n.open, path)
		}
		delete(n.moving, e.cookie)
	case e.mask&(unix.IN_CLOSE_WRITE|unix.IN_DELETE) != 0:
		delete(n.open, path)
	}
	return n.wanted[path] || n.wanted[folder+"/"]
}

// closed returns the file that was written to and is closed, if the event says so; else empty.
func (n *notifier) closed(e event) string {
	if e.mask&unix.IN_CLOSE_WRITE == 0 {
		return ""
	}
	return filepath.Join(n.folders[e.watch], e.name)
}

// beingWritten returns a file that matters and is being written to; empty for none.
func (n *notifier) beingWritten() string {
	for path := range n.open {
		if n.wanted[path] || n.wanted[filepath.Dir(path)+"/"] {
			return path
		}
	}
	return ""
}
