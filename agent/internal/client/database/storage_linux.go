package database

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// networkStorage names the network file systems by the magic number of statfs(2). Sources:
// linux/magic.h, and fs/smb/client/cifsglob.h for cifs and smb2.
var networkStorage = map[uint32]string{
	unix.NFS_SUPER_MAGIC:  "NFS",
	unix.SMB_SUPER_MAGIC:  "SMB",
	unix.SMB2_SUPER_MAGIC: "SMB",
	unix.CIFS_SUPER_MAGIC: "SMB",
	unix.V9FS_MAGIC:       "9P",
	unix.FUSE_SUPER_MAGIC: "FUSE", // sshfs
	unix.AFS_SUPER_MAGIC:  "AFS",
	unix.CEPH_SUPER_MAGIC: "Ceph",
}

// checkStorage refuses a folder on a network file system. The write-ahead log is shared memory, which
// two machines do not share: they would damage the file.
func checkStorage(folder string) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(folder, &stat); err != nil {
		return nil //nolint:nilerr // opening the file tells what is wrong
	}
	return storageError(folder, uint32(stat.Type)) //nolint:gosec // the magic numbers have 32 bits
}

func storageError(folder string, magic uint32) error {
	if name, remote := networkStorage[magic]; remote {
		return fmt.Errorf("cannot keep a SQLite database in %s, on a network file system (%s); use a local disk, or PostgreSQL", folder, name)
	}
	return nil
}
