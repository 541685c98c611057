// Package trustedpath checks that only root and one user decide what a path leads to.
//
// It follows the path as the kernel does, name by name and link by link, and looks at every
// folder on the way: also at those between two links, where another name could be put. That is
// what sshd asks of a user's files, see StrictModes in sshd_config(5).
package trustedpath

// An UntrustedError says who else could change what a path leads to.
type UntrustedError struct {
	// Path is the file or the folder on the way to it that is at fault.
	Path string
	// Problem says what is wrong with it and what to do.
	Problem string
}

func (e *UntrustedError) Error() string { return e.Problem }
