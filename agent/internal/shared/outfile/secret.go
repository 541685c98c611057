package outfile

import (
	"fmt"
	"os"
)

// secretMode is the mode of a new file with secrets.
const secretMode = 0o600

// OpenSecret opens a file to which secrets are appended, and creates it if there is none. A file that
// other users may read or own is refused. Its folder may be readable: that shows its name alone.
func OpenSecret(path string) (*os.File, error) {
	at, _, err := Resolve(path)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(at, os.O_WRONLY|os.O_APPEND|os.O_CREATE|noFollow|nonBlock, secretMode)
	if err != nil {
		return nil, named(err, path)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is no regular file; name another one", path)
	case !isOwn(info):
		err = fmt.Errorf("%s belongs to another user, who could read what is written; name another file", path)
	case !isPrivate(info):
		err = fmt.Errorf("other users may read %s; name another file, or remove their rights with: chmod 600 %[1]s", path)
	default:
		return file, nil
	}
	_ = file.Close() // nothing was written
	return nil, err
}
