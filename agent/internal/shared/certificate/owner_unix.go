//go:build unix

package certificate

import (
	"io/fs"
	"os/user"
	"strconv"
	"syscall"
)

// ownerName names the user and the group of a file.
func ownerName(info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "another user"
	}
	group := "group " + strconv.FormatUint(uint64(st.Gid), 10)
	if g, err := user.LookupGroupId(strconv.FormatUint(uint64(st.Gid), 10)); err == nil {
		group = "group " + g.Name
	}
	return lookupUser(int(st.Uid)) + " and " + group
}

func lookupUser(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return "user " + u.Username
	}
	return "user " + id
}
