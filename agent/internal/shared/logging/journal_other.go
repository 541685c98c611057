//go:build !linux

package logging

import "io"

// isJournal returns false: there is no systemd.
func isJournal(io.Writer, string) bool { return false }

func newJournalStream(stderr io.Writer) io.Writer { return stderr }

// isRemoved returns false: link counts are not known here.
func isRemoved(io.Writer) bool { return false }
