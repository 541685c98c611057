package stream

import (
	"io"
	"testing"
	"testing/synctest"
	"time"
)

func TestDiscardedMessagesAreReadAtAPace(t *testing.T) {
	for size, want := range map[int]time.Duration{0: 1000 * discardPause * messageCost / discardBytes, 1 << 20: 1000 * 16 * discardPause} {
		synctest.Test(t, func(t *testing.T) {
			began, left := time.Now(), 1000
			discard(t.Context(), func() (int, error) {
				if left--; left < 0 {
					return 0, io.EOF
				}
				return size, nil
			})
			if took := time.Since(began); took < want*9/10 || took > want*11/10 {
				t.Errorf("1000 messages of %d bytes took %v, want about %v", size, took, want)
			}
		})
	}
}
