//go:build !linux

package logging

import "io"

// isJournal is false: there is no systemd.
func isJournal(io.Writer, string) bool { return false }

func newJournalStream(stderr io.Writer) io.Writer { return stderr }

// isRemoved is false: it is not known.
func isRemoved(io.Writer) bool { return false }
