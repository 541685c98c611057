//go:build !linux

package server

// newSocket is not called where nothing can be parked.
func newSocket(int) stream { return nil }

// take returns false: nothing is parked here.
func take(stream) (fd int, ok bool) { return -1, false }

// streamGone returns false: there is no telling here.
func streamGone(stream) bool { return false }

// isGone returns false, as streamGone does.
func isGone(int) bool { return false }

func shutDown(int) {}
