package logging

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// timeless is a logger whose lines are the same at any time.
func timeless(out *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := timeless(&out)
		l := NewLimiter(time.Second)
		for i := range 25 { // one each 100 ms, from 0 s to 2.4 s
			l.Log(t.Context(), log, slog.LevelWarn, "slow message", slog.Int("n", i))
			l.Log(t.Context(), log, slog.LevelDebug, "below the level")
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Hour)
		l.Log(t.Context(), log, slog.LevelWarn, "slow message")
		l.Log(t.Context(), log, slog.LevelWarn, "slow message")
		time.Sleep(time.Second - time.Nanosecond)
		l.Log(t.Context(), log, slog.LevelWarn, "slow message")
		time.Sleep(time.Nanosecond)
		l.Log(t.Context(), log, slog.LevelWarn, "slow message")
		time.Sleep(time.Second)
		l.Log(t.Context(), log, slog.LevelWarn, "slow message")
		want := `level=WARN msg="slow message" n=0
level=WARN msg="slow message" n=10 suppressed=9
level=WARN msg="slow message" n=20 suppressed=9
level=WARN msg="slow message" suppressed=4
level=WARN msg="slow message" suppressed=2
level=WARN msg="slow message"
`
		if got := out.String(); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}

// TestLimiterKeepsAttrs: the attribute is added to the line, not to the caller's slice.
func TestLimiterKeepsAttrs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := timeless(&out)
		attrs := append(make([]slog.Attr, 0, 4), slog.Int("a", 1))
		l := NewLimiter(time.Second)
		for range 3 {
			l.Log(t.Context(), log, slog.LevelInfo, "m", attrs...)
			time.Sleep(600 * time.Millisecond)
		}
		if got := attrs[:2][1]; !got.Equal(slog.Attr{}) || !strings.Contains(out.String(), "suppressed=1") {
			t.Errorf("the slice of the caller holds %v after\n%s", got, out.String())
		}
	})
}

// TestLimiterTogether: of many goroutines one writes, and none of the others goes uncounted.
func TestLimiterTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := timeless(&out)
		l := NewLimiter(time.Minute)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { l.Log(t.Context(), log, slog.LevelInfo, "m") })
		}
		all.Wait()
		time.Sleep(time.Minute)
		l.Log(t.Context(), log, slog.LevelInfo, "m")
		if got, want := out.String(), "level=INFO msg=m\nlevel=INFO msg=m suppressed=49\n"; got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}

// TestBurstLimiter: a number of lines in each period is written, and the rest is counted.
func TestBurstLimiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := NewBurstLimiter(time.Second, 3)
		for i := range 12 { // one each 125 ms
			l.Log(t.Context(), timeless(&out), slog.LevelInfo, "m", slog.Int("n", i))
			time.Sleep(125 * time.Millisecond)
		}
		want := "level=INFO msg=m n=0\nlevel=INFO msg=m n=1\nlevel=INFO msg=m n=2\n" +
			"level=INFO msg=m n=8 suppressed=5\nlevel=INFO msg=m n=9\nlevel=INFO msg=m n=10\n"
		if got := out.String(); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}
