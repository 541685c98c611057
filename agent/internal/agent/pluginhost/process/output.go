package process

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// Limits of what a plugin may write to the agent's log.
const (
	// maxLineBytes is where a longer line is cut.
	maxLineBytes = 1024
	// linesPerSecond and lineBurst bound the lines of one plugin, over all its processes. The burst
	// holds the trace of a crash.
	linesPerSecond = 20
	lineBurst      = 200
	// quietTime is how long nothing is logged after a line over the limit, so that a flood leaves
	// runs of readable lines and not single ones.
	quietTime = 5 * time.Second
	// outputPerSecond and outputBurst bound the bytes: a flood may have no lines.
	outputPerSecond = linesPerSecond * maxLineBytes
	outputBurst     = lineBurst * maxLineBytes
	// floodPause is the pause between two reads from a plugin that is over a limit. A read empties
	// the pipe, so this bounds the cost of a flood and still reads 6 MB a second.
	floodPause = 10 * time.Millisecond
	// pipeBytes is the size of a pipe's buffer, see pipe(7).
	pipeBytes = 64 << 10
)

// NewLineLimit returns the limit of the log lines of one plugin.
func NewLineLimit() *rate.Limiter { return rate.NewLimiter(linesPerSecond, lineBurst) }

// A sink gets what a process prints to one of its streams.
type sink interface {
	// write gets the next bytes and must not keep them. It reports whether they are over the limit.
	write(b []byte) (flooded bool)
	// end is called once, after the last write.
	end()
}

// readOutput reads until the pipe ends or its deadline passes. It never stops before: a plugin whose
// output is not read would block.
func readOutput(pipe *os.File, to sink) {
	defer to.end()
	buf, limit := make([]byte, pipeBytes), rate.NewLimiter(outputPerSecond, outputBurst)
	for {
		n, err := pipe.Read(buf)
		flooded := to.write(buf[:n]) || !limit.AllowN(time.Now(), n)
		if err != nil {
			return
		}
		if flooded {
			time.Sleep(floodPause)
		}
	}
}

// A lineLog is a sink that logs line by line. The lines are not parsed.
type lineLog struct {
	logger *slog.Logger
	limit  *rate.Limiter
	hide   func(text string) string // nil for no secrets

	mu      sync.Mutex // guards what follows
	line    []byte     // the line so far, at most maxLineBytes
	cut     bool       // the line is longer than that
	quiet   time.Time  // until when nothing is logged
	skipped int        // lines left out since the last one logged
	last    string     // see lastLine
}

// newLineLog returns a log of one stream of a process. The limit is shared by all processes of a plugin.
func newLineLog(c Config, stream string) *lineLog {
	return &lineLog{logger: c.Logger.With("stream", stream), limit: c.Lines, hide: c.Hide}
}

func (l *lineLog) write(b []byte) (flooded bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		line, rest, complete := bytes.Cut(b, []byte{'\n'})
		room := maxLineBytes - len(l.line)
		l.cut = l.cut || len(line) > room
		l.line = append(l.line, line[:min(len(line), room)]...)
		if !complete {
			return flooded
		}
		flooded = !l.flush() || flooded
		b = rest
	}
}

func (l *lineLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.line) > 0 {
		l.flush()
	}
	l.logSkipped()
}

// lastLine returns the line that is likely to say why the process ended: the last one, or the first
// of a Go program's stack trace.
func (l *lineLog) lastLine() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// flush logs the line and reports whether the limit allowed it. The caller holds mu.
func (l *lineLog) flush() bool {
	text := bytes.TrimRight(l.line, "\r")
	cut := l.cut
	l.line, l.cut = l.line[:0], false
	if len(bytes.TrimSpace(text)) == 0 {
		return true
	}
	now := time.Now()
	if now.Before(l.quiet) {
		l.skipped++
		return false
	}
	if !l.limit.AllowN(now, 1) {
		l.skipped++
		l.quiet = now.Add(quietTime)
		return false
	}
	l.logSkipped()
	line := string(text)
	if l.hide != nil {
		line = l.hide(line)
	}
	line = logging.Clean(line)
	if cut {
		line += "..."
	}
	if !strings.HasPrefix(l.last, "panic: ") && !strings.HasPrefix(l.last, "fatal error: ") {
		l.last = line
	}
	l.logger.LogAttrs(context.Background(), slog.LevelInfo, "plugin prints", slog.String("line", line))
	return true
}

func (l *lineLog) logSkipped() {
	if l.skipped > 0 {
		l.logger.Warn("the plugin prints too much; lines were left out", "lines", l.skipped)
		l.skipped = 0
	}
}
