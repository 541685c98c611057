package protocol

// Cap is how many bytes the Reader's buffer takes.
func (r *Reader) Cap() int { return cap(r.buf) }

// Printable is printable.
func Printable(s string, limit int) string { return printable(s, limit) }
