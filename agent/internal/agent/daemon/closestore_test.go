package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
)

// A slowStore takes some time to close.
type slowStore struct {
	sessionstore.Store
	takes time.Duration
}

func (s slowStore) Close() error {
	time.Sleep(s.takes)
	return nil
}

// TestCloseStoreHangs: a store that does not answer holds a stop until the stop is forced, and no longer.
func TestCloseStoreHangs(t *testing.T) {
	t.Parallel()
	forced := errors.New("forced")
	for name, test := range map[string]struct {
		takes, want time.Duration
		err         error
	}{
		"quick":                  {forceTime / 2, forceTime / 2, nil},
		"slow":                   {time.Minute - 1, time.Minute - 1, nil},
		"a moment after the end": {time.Minute + forceTime/2, time.Minute + forceTime/2, nil},
		"never":                  {time.Hour, time.Minute + forceTime, forced},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, forced)
				defer cancel()
				var log bytes.Buffer
				began := time.Now()
				err := closeStore(ctx, slowStore{takes: test.takes}, slog.New(slog.NewTextHandler(&log, nil)))
				if took := time.Since(began); took != test.want || !errors.Is(err, test.err) {
					t.Errorf("after %v: %v", took, err)
				}
				if strings.Contains(log.String(), "error=forced") != (test.err != nil) {
					t.Errorf("the log says %s", log.String())
				}
				time.Sleep(test.takes) // it ends with the test
			})
		})
	}
}
