package database

import (
	"strings"
	"testing"
)

func TestNetworkFileSystems(t *testing.T) {
	for magic, name := range map[uint32]string{0x6969: "NFS", 0xff534d42: "SMB", 0xfe534d42: "SMB", 0x01021997: "9P", 0x65735546: "FUSE"} {
		if err := storageError("/srv", magic); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if err := storageError("/srv", 0xef53); err != nil {
		t.Errorf("ext4: error %v", err)
	}
}
