package daemon

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

// TestDaysAreToldOnce: at 30, 7 and 1 days and once a certificate has expired, each once.
func TestDaysAreToldOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	certs := &certificates{log: slog.New(slog.NewTextHandler(&log, nil))}
	ca := certtest.New(t)
	tell := func(left time.Duration) (lines string) {
		t.Helper()
		c := config.Default()
		c.TLS.Certificate, c.TLS.Key = ca.Issue(t, certtest.Template{CN: "board", NotBefore: time.Now().Add(-90 * 24 * time.Hour), NotAfter: time.Now().Add(left)})
		set, err := loadCertificates(&config.Loaded{Config: c})
		if err != nil {
			t.Fatal(err)
		}
		certs.put(set)
		certs.warn()
		certs.warn()
		defer log.Reset()
		return log.String()
	}
	const day = 24 * time.Hour
	for _, test := range []struct {
		left  time.Duration
		lines int
		want  string
	}{
		{40 * day, 0, ""}, {29*day + time.Hour, 1, "level=WARN msg=\"a certificate expires soon\" key=tls.certificate"},
		{6*day + time.Hour, 1, "days_left=6"}, {time.Hour, 1, "days_left=0"}, {-time.Hour, 1, "level=ERROR msg=\"a certificate has expired\""},
	} {
		if got := tell(test.left); strings.Count(got, "\n") != test.lines || !strings.Contains(got, test.want) {
			t.Errorf("%v left: got %q, want %d lines with %s", test.left, got, test.lines, test.want)
		}
	}
	if _, _, trouble := certs.state(); len(trouble) != 1 || !strings.Contains(trouble[0], "tls.certificate: CN=board") {
		t.Errorf("the trouble is %q", trouble)
	}
}

// TestTimeIsKept: the newest time that was stored counts, and an earlier clock does not lower it.
func TestTimeIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := config.Load(config.Sources{Environ: []string{"STATE_DIRECTORY=" + dir}})
	if err != nil {
		t.Fatal(err)
	}
	newest := time.Now().Add(time.Hour).Truncate(time.Second)
	keepTime(c, newest)
	keepTime(c, time.Unix(0, 0)) // a board that starts in 1970
	if got := knownTime(c); !got.Equal(newest) {
		t.Errorf("got %v, want %v", got, newest)
	}
	if info, err := os.Stat(filepath.Join(dir, clockFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
