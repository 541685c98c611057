package sdk

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

const canKnowPeers = true

// CheckPeer returns an error when the other end of a data path belongs to another user than
// this process, SO_PEERCRED of unix(7).
func CheckPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var peerErr error
	err = raw.Control(func(fd uintptr) {
		peer, peerErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	switch {
	case err != nil:
		return err
	case peerErr != nil:
		return peerErr
	case int(peer.Uid) != os.Geteuid():
		return fmt.Errorf("the other end belongs to the user %d", peer.Uid)
	}
	return nil
}
