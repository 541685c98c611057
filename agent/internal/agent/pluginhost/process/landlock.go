package process

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// landlockScopes is the first version of landlock(7) that has scopes: Linux 6.12.
	landlockScopes = 6
	// The scopes: no signals to processes outside the domain, and no connections to their
	// abstract unix sockets.
	landlockScopeSockets = 1 << 0
	landlockScopeSignals = 1 << 1
)

// landlockRuleset is struct landlock_ruleset_attr.
type landlockRuleset struct{ filesystem, network, scoped uint64 }

// confineThread puts the calling thread, and every process that it starts from then on, into a
// Landlock domain of its own, which cannot be left. A process in the domain can neither trace nor
// signal the agent or another plugin, and gains no rights by executing a program. The thread must end
// with the plugin. An error says that this machine has no such domains.
func confineThread() error {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	if version < landlockScopes {
		return fmt.Errorf("landlock: version %d, want %d", version, landlockScopes)
	}
	rules := landlockRuleset{scoped: landlockScopeSockets | landlockScopeSignals}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), unsafe.Sizeof(rules), 0)
	if errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	defer func() { _ = unix.Close(int(fd)) }() // the domain stays
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	return nil
}
