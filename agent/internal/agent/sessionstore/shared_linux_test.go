package sessionstore

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What one codec has encoded another one decodes, with times of the moment of decoding: those of another
// boot are known where both clocks are synchronized.
func TestCodec(t *testing.T) {
	writer, err := NewCodec()
	must(t, err)
	for name, test := range map[string]struct {
		boot   byte // 0 for that of the writer
		synced bool
		want   Times
	}{
		"the same boot":                 {0, true, TimesExact},
		"another machine":               {9, true, TimesByWall},
		"a clock that is not set there": {9, false, TimesUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			reader, err := NewCodec()
			must(t, err)
			if test.boot != 0 {
				reader.clock.boot = bootID{test.boot}
			}
			writer.clock.isSynced, writer.clock.checked = func() bool { return true }, time.Time{}
			reader.clock.isSynced = func() bool { return test.synced }
			r := record("a", 3)
			encoded := writer.Append([]byte("before"), r)[len("before"):]
			time.Sleep(10 * time.Millisecond) // it is decoded later than the reader was made
			got, times, err := reader.Decode(encoded)
			must(t, err)
			if ago := time.Since(got.Replied); times != test.want || ago < 0 || ago > time.Minute {
				t.Errorf("replied %v ago, times %d", ago, times)
			}
			if diff := cmp.Diff(*r, got, same); test.want == TimesExact && diff != "" {
				t.Errorf("(- encoded, + decoded)\n%s", diff)
			}
			for n := range encoded {
				if _, _, err := reader.Decode(encoded[:n]); !errors.Is(err, errRecord) {
					t.Errorf("the first %d bytes: %v", n, err)
				}
			}
			r.Reply = nil
			if got, _, err := reader.Decode(writer.Append(nil, r)); err != nil || got.Reply != nil {
				t.Errorf("without a reply: %v, error %v", got.Reply, err)
			}
		})
	}
}
