//go:build race

package daemon

// reservesTerabytes says that this program has the race detector in it, whose address space
// counts as memory: the bundled validators could not start within any limit.
const reservesTerabytes = true
