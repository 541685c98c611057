package server

import "log/slog"

// keptBack is how many of the files that the process may have open are not for connections, but
// for what must work while clients have taken all they can: plugins, the admin socket, the
// watchdog, a reload, and clients that are told why they are refused. It is half of the files
// where that is less.
const keptBack = 256

// refusing is the share of the files kept back, one in refusing, that clients may take who are told
// why they are refused.
const refusing = 4

// spare returns how many of the files are kept back; 0 files is a limit that is not known.
func spare(files uint64) int {
	if files == 0 {
		return keptBack
	}
	return int(min(files/2, keptBack))
}

// fit makes the limits of connections what the limit of open files leaves room for, and says so
// where that is less.
func (s *Server) fit(o *Options) {
	files := openFiles()
	if files == 0 || uint64(o.Connections) <= files-uint64(spare(files)) {
		return
	}
	room := int(files) - spare(files)
	s.log.Warn("the limit of open files allows fewer connections than limits.connections",
		slog.Int("limits.connections", o.Connections), slog.Uint64("open_files", files), slog.Int("connections", room),
		slog.String("advice", "raise LimitNOFILE= of the unit, or ulimit -n, or lower limits.connections"))
	o.Connections = room
	o.ConnectionsPerAddress = min(o.ConnectionsPerAddress, o.Connections)
}
