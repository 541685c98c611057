package pluginhost

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// checkExecutable refuses a plugin's file that somebody other than root and the agent's user
// could put other code into, between this look and the start or later: the file and every
// directory above it must belong to one of the two, and group and others may not write to
// them. That is what sshd asks of a user's files (StrictModes in sshd_config(5)). A
// directory with the sticky bit, such as /tmp, may be written to, as others can neither
// rename nor remove in it what is not theirs. The file may be no symbolic link; above it
// links are followed, and both ways are looked at.
func checkExecutable(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("there is no file %s; correct the path or install the plugin", path)
	case err != nil:
		return fmt.Errorf("%w; the agent's user must be able to look at it", err)
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link; name the file itself", path)
	case info.IsDir():
		return fmt.Errorf("%s is a folder; name the program in it", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a file", path)
	}
	if err := onlyOurs(path); err != nil {
		return err
	}
	if unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS) != nil {
		return fmt.Errorf("%s is not executable; chmod 755 %s", path, path)
	}
	dir := filepath.Dir(path)
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	for _, above := range []string{dir, real} {
		for {
			if err := onlyOurs(above); err != nil {
				return err
			}
			up := filepath.Dir(above)
			if up == above {
				break
			}
			above = up
		}
	}
	return nil
}

// openRegular opens a file to read it, with further flags of open(2). What is not a file any more, such as a named pipe that a
// plugin has put in the place of its own, is refused: opening or reading it might never end.
func openRegular(path string, flags int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|flags, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a file")
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// onlyOurs checks the owner and the mode of one file or directory.
func onlyOurs(path string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to %s, who could put other code there; "+
			"it must belong to root or to the agent's user", path, userName(st.Uid))
	}
	sticky := st.Mode&unix.S_IFMT == unix.S_IFDIR && st.Mode&unix.S_ISVTX != 0
	if st.Mode&0o022 != 0 && !sticky {
		return fmt.Errorf("others than the owner can write to %s; chmod go-w %s", path, path)
	}
	return nil
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "user " + id
}
