// Package trustedpath checks that only root and one user can change what a path leads to.
//
// It follows the path as the kernel does, name by name and link by link, and checks every folder on
// it, also those between two links. sshd makes the same check of a user's files, see StrictModes in
// sshd_config(5).
package trustedpath

// An UntrustedError is the error for a path that others can change.
type UntrustedError struct {
	// Path is the file or the folder on the way to it that is at fault; of several, the first.
	Path string
	// Problem says what is wrong with it and what to do.
	Problem string
}

func (e *UntrustedError) Error() string { return e.Problem }
