package pluginhost

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/time/rate"
)

// Limits of what a plugin may have in the agent's log.
const (
	// maxLineBytes is where a longer line is cut.
	maxLineBytes = 1024
	// linesPerSecond and lineBurst bound the lines of one plugin, also where its processes follow
	// one another quickly. The burst holds the trace of a crash.
	linesPerSecond = 20
	lineBurst      = 200
	// quietTime is how long nothing is logged after a line too many, so that what is left of
	// a flood are readable stretches and not single lines.
	quietTime = 5 * time.Second
	// outputPerSecond and outputBurst bound the bytes in the same way: a flood need not consist
	// of lines.
	outputPerSecond = linesPerSecond * maxLineBytes
	outputBurst     = lineBurst * maxLineBytes
	// floodPause is the rest between two reads from a plugin that is over the limit. A read
	// empties the pipe, so this bounds the cost of a flood and still takes 6 MB a second.
	floodPause = 10 * time.Millisecond
	// pipeBytes is the size of a pipe's buffer, see pipe(7).
	pipeBytes = 64 << 10
)

// A sink takes what a process prints to one of its streams.
type sink interface {
	// take gets the next bytes and must not keep them. It reports whether they are too much.
	take(b []byte) (flooded bool)
	// end says that there are no more.
	end()
}

// readOutput reads until the pipe ends or its deadline passes. It never stops reading before:
// a plugin that nobody reads would block in the middle of a line.
func readOutput(pipe *os.File, to sink) {
	defer to.end()
	buf, allow := make([]byte, pipeBytes), rate.NewLimiter(outputPerSecond, outputBurst)
	for {
		n, err := pipe.Read(buf)
		flooded := to.take(buf[:n]) || !allow.AllowN(time.Now(), n)
		if err != nil {
			return
		}
		if flooded {
			time.Sleep(floodPause)
		}
	}
}

// A lineLog is a sink that logs line by line. Nothing a plugin prints is interpreted.
type lineLog struct {
	logger *slog.Logger
	allow  *rate.Limiter

	mu      sync.Mutex
	line    []byte    // the line so far, at most maxLineBytes
	cut     bool      // more of it came
	quiet   time.Time // until when nothing is logged
	skipped int       // lines left out since the last one logged
	telling string    // the line that is likely to say why the process ended
}

// newLineLog returns a log of one stream of a process; allow is shared by all of a plugin.
func newLineLog(logger *slog.Logger, stream string, allow *rate.Limiter) *lineLog {
	return &lineLog{logger: logger.With("stream", stream), allow: allow}
}

func newLineLimit() *rate.Limiter { return rate.NewLimiter(linesPerSecond, lineBurst) }

func (l *lineLog) take(b []byte) (flooded bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		room := maxLineBytes - len(l.line)
		l.cut = l.cut || len(line) > room
		l.line = append(l.line, line[:min(len(line), room)]...)
		if !whole {
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
	l.report()
}

// lastWords returns the line that is likely to say why the process ended: the last one, or
// that which begins the trace of a Go program.
func (l *lineLog) lastWords() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.telling
}

// flush logs the line and reports whether it was allowed to.
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
	if !l.allow.AllowN(now, 1) {
		l.skipped++
		l.quiet = now.Add(quietTime)
		return false
	}
	l.report()
	line := printable(text)
	if cut {
		line += "..."
	}
	if !beginsTrace(l.telling) {
		l.telling = line
	}
	l.logger.LogAttrs(context.Background(), slog.LevelInfo, "plugin prints", slog.String("line", line))
	return true
}

func beginsTrace(line string) bool {
	return strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")
}

func (l *lineLog) report() {
	if l.skipped > 0 {
		l.logger.Warn("the plugin prints too much; lines were left out", "lines", l.skipped)
		l.skipped = 0
	}
}

// printable returns the text with everything escaped that could move a terminal's cursor,
// colour it or pass for something else.
func printable(text []byte) string {
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(text[0])|0x100, 16)[1:])
		case r == '\t' || strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		text = text[n:]
	}
	return b.String()
}
