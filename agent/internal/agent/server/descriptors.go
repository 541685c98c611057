package server

import (
	"log/slog"

	"golang.org/x/sys/unix"
)

const (
	// maxReservedFiles is how many of the files that the process may open are reserved: for
	// plugins, the admin socket, the watchdog, a reload, and for telling clients why they are
	// refused. No more than half of the files are.
	maxReservedFiles = 256
	// refusalShare is the divisor of the reserved files that gives the number of clients
	// told at once why they are refused.
	refusalShare = 4
)

// openFileLimit returns how many files the process may open; 0 when that is unknown. The runtime has
// raised the soft limit, getrlimit(2), to the hard one.
func openFileLimit() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return limit.Cur
}

// reservedFiles returns how many of the files are reserved.
func reservedFiles(limit uint64) int {
	if limit == 0 {
		return maxReservedFiles
	}
	return int(min(limit/2, maxReservedFiles))
}

// capConnections lowers the limits of connections to what the limit of open files allows, and logs
// it.
func (s *Server) capConnections(o *Options) {
	files := openFileLimit()
	if files == 0 || uint64(o.Connections) <= files-uint64(reservedFiles(files)) {
		return
	}
	room := int(files) - reservedFiles(files)
	s.log.Warn("the limit of open files allows fewer connections than limits.connections",
		slog.Int("limits.connections", o.Connections), slog.Uint64("open_files", files), slog.Int("connections", room),
		slog.String("advice", "raise LimitNOFILE= of the unit, or ulimit -n, or lower limits.connections"))
	o.Connections = room
	o.ConnectionsPerAddress = min(o.ConnectionsPerAddress, o.Connections)
}
