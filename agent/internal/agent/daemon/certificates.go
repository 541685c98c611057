package daemon

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/auditwriter"
	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
)

// certificates are those in force, and what is told of them. Its methods are safe for concurrent use.
type certificates struct {
	log *slog.Logger

	mu      sync.Mutex
	set     *certificate.Set // nil without TLS
	told    map[string]int   // the days left for which a line was logged last, by certificate
	trouble string           // why a newer set is refused; empty for none
}

// loadCertificates reads the certificates of a config, and checks who may change the files that it
// names; nil where it has none.
func loadCertificates(c *config.Loaded) (*certificate.Set, error) {
	if err := c.CheckNamedFiles(); err != nil {
		return nil, err
	}
	if c.TLS.Certificate == "" {
		return nil, nil
	}
	source := certificate.Source{
		Certificate: c.TLS.Certificate, Key: c.TLS.Key, ClientCA: c.TLS.ClientCA, CRL: c.TLS.CRL,
		RefuseExpiredCRL: c.TLS.CRLExpired == "refuse", MinVersion: tls.VersionTLS13,
		Identity: c.TLS.Identity, Floor: knownTime(c),
	}
	if c.TLS.MinVersion == "1.2" {
		source.MinVersion = tls.VersionTLS12
	}
	set, err := certificate.Load(source)
	if err == nil {
		return set, nil
	}
	var problems config.Problems
	for _, e := range flatten(err) {
		var file *certificate.FileError
		if !errors.As(e, &file) {
			return nil, err
		}
		problems = append(problems, c.Problem("tls."+file.Role, file.Path+": "+file.Problem))
	}
	return nil, problems
}

// current returns the set in force; nil without TLS.
func (t *certificates) current() *certificate.Set {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.set
}

// put puts a set in force.
func (t *certificates) put(set *certificate.Set) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set, t.trouble = set, ""
}

// refuse notes why a newer set is refused.
func (t *certificates) refuse(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trouble = err.Error()
}

// state returns the certificates in force and what is wrong with them.
func (t *certificates) state() (infos []certificate.Info, now time.Time, trouble []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.trouble != "" {
		trouble = append(trouble, "new certificates are refused, and the old are in force: "+t.trouble)
	}
	if t.set == nil {
		return nil, time.Time{}, trouble
	}
	infos, now = t.set.Infos(), t.set.Now()
	for _, info := range infos {
		if info.DaysLeft(now) < 0 {
			trouble = append(trouble, expired(info))
		}
	}
	return infos, now, trouble
}

func expired(i certificate.Info) string {
	return fmt.Sprintf("tls.%s: %s has expired, %s", i.Role, cmp.Or(i.Subject, i.File), i.NotAfter.UTC().Format(time.DateTime)+" UTC")
}

const (
	// expiryInterval is how often the days left, and the certificates of open connections, are looked
	// at.
	expiryInterval = time.Minute
	// keepInterval is how often the time is stored: flash memory wears out.
	keepInterval = time.Hour
)

// warnDays are the days left at which a line is logged.
var warnDays = []int{30, 7, 1}

// warn logs each certificate that has reached one of warnDays or has expired, once for each.
func (t *certificates) warn() {
	infos, now, _ := t.state()
	t.mu.Lock()
	defer t.mu.Unlock()
	told := map[string]int{}
	for _, info := range infos {
		left, key := info.DaysLeft(now), info.Role+" "+info.Issuer+" "+info.Serial
		level, message, step := slog.LevelWarn, "a certificate expires soon", 0
		for _, days := range warnDays {
			if left <= days {
				step = days
			}
		}
		if left < 0 {
			level, message, step = slog.LevelError, "a certificate has expired", -1
		}
		if step == 0 {
			continue
		}
		told[key] = step
		if t.told[key] == step {
			continue
		}
		t.log.Log(context.Background(), level, message, slog.String("key", "tls."+info.Role), slog.String("file", info.File),
			slog.String("subject", info.Subject), slog.Int("days_left", left), slog.Time("not_after", info.NotAfter))
	}
	t.told = told
}

// reloadCertificates reads the files of the certificates again and puts them in force; on an error the
// old ones stay. It fails with errChanged unless unchanged returns true at its end.
func (a *Agent) reloadCertificates(ctx context.Context, unchanged func() bool) error {
	if err := a.beginReload(ctx); err != nil {
		return err
	}
	defer a.endReload()
	c := a.current()
	if c.TLS.Certificate == "" {
		return nil // since the files have changed a reload has taken them out of the config
	}
	set, err := loadCertificates(c)
	if err == nil && !unchanged() {
		return errChanged
	}
	if err != nil {
		a.certificates.refuse(err)
		a.options.Log.Error("new certificates refused, the old stay in force", slog.String("error", err.Error()))
		return err
	}
	a.useCertificates(c, set, a.record)
	own := set.Infos()[0]
	a.options.Log.Info("certificates reloaded", slog.String("subject", own.Subject), slog.Time("not_after", own.NotAfter))
	return nil
}

// useCertificates puts the certificates of a config in force, for open connections too, with the rest of
// the server's options.
func (a *Agent) useCertificates(c *config.Loaded, set *certificate.Set, record *auditwriter.Writer) {
	a.certificates.put(set)
	a.server.SetOptions(serverOptions(c, a.options.Version, record, set))
	a.server.RecheckPeers()
	a.certificates.warn()
}

// clockFile, in the folder of the state, has the newest time that the agent knows as its modification
// time: a board without a clock of its own starts in 1970.
const clockFile = "clock"

// knownTime returns a time that is surely past: of this build, or the newest of an earlier run.
func knownTime(c *config.Loaded) time.Time {
	known := version.Date()
	if dir := c.StateDir(); dir != "" {
		if info, err := os.Stat(filepath.Join(dir, clockFile)); err == nil && info.ModTime().After(known) {
			known = info.ModTime()
		}
	}
	return known
}

// keepTime stores the time now for later runs, if there is a folder for the state. An error changes
// nothing: the other known times count.
func keepTime(c *config.Loaded, now time.Time) {
	dir := c.StateDir()
	if dir == "" {
		return
	}
	path := filepath.Join(dir, clockFile)
	if info, err := os.Stat(path); err == nil && info.ModTime().After(now) {
		return
	}
	if f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
		_ = f.Close()
		_ = os.Chtimes(path, now, now)
	}
}

// watchCertificates looks at the days left, closes connections whose certificate has expired, and stores
// the time, until the context ends.
func (a *Agent) watchCertificates(ctx context.Context) {
	keepTime(a.current(), time.Now())
	kept := time.Now()
	every(ctx, expiryInterval, func() {
		a.certificates.warn()
		a.server.RecheckPeers()
		if time.Since(kept) >= keepInterval {
			keepTime(a.current(), time.Now())
			kept = time.Now()
		}
	})
}

// clientRules returns the config's rules for identities.
func clientRules(c *config.Loaded) (rules []server.ClientRule) {
	for _, r := range c.TLS.Clients {
		rules = append(rules, server.ClientRule{Match: r.Match, Sessions: r.Sessions, Connections: r.Connections, SessionsOpen: r.SessionsOpen})
	}
	return rules
}
