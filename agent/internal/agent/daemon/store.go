package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// openStore opens the store of the sessions as the config says; nil when they survive nothing.
func openStore(c *config.Loaded, version string, log *slog.Logger) (sessionstore.Store, error) {
	if c.Session.Store == config.StoreNATS {
		return openSharedStore(c, log)
	}
	if !c.Session.KeepsFiles() {
		return nil, nil
	}
	store, err := sessionstore.Open(sessionstore.Options{
		Dir: c.Session.Dir, PowerCut: c.Session.Survives == config.SurvivesPowerCut,
		RememberedReplies: c.Session.RememberedReplies, Agent: version, Log: log,
	})
	if err != nil {
		problem := fmt.Sprintf("%v; or set session.survives to %q", err, config.SurvivesNothing)
		return nil, config.Problems{c.Problem(sessionDirKey, problem)}
	}
	return store, nil
}

const sessionDirKey = "session.dir"

// closeStore closes the store of the sessions; nil is none. It leaves the store as it is if that does not answer
// before the context ends.
func closeStore(ctx context.Context, store sessionstore.Store, log *slog.Logger) error {
	if store == nil {
		return nil
	}
	err := within(ctx, store.Close)
	if err != nil {
		log.Error("the store of the sessions was not closed cleanly; they may not survive a reboot", slog.Any("error", err))
	}
	return err
}

// forceTime is how long something may take to close beyond the context of a stop.
const forceTime = time.Second

// within calls f and returns its error. Once the context has ended it waits for forceTime alone and returns the
// cause: f goes on, as where a disk does not answer.
func within(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(forceTime):
		return context.Cause(ctx)
	}
}

// storeStatus returns the state of the store of the sessions; nil is none.
func storeStatus(store sessionstore.Store, now time.Time) sessionstore.Status {
	if store == nil {
		return sessionstore.Status{Survives: sessionstore.Nothing}
	}
	s := store.Status()
	s.LastCommit = byNow(now, s.LastCommit)
	s.Trouble = strings.TrimPrefix(s.Trouble, sessionstore.ErrAway.Error()+": ") // what shows it says so too
	return s
}

// CheckSessionDir returns what is doubtful about the folder in which the config has sessions stored: that it
// cannot be made or written, or that others may read it. It changes nothing.
func CheckSessionDir(c *config.Loaded) (warnings []string) {
	if !c.Session.KeepsFiles() {
		return nil
	}
	if doubt := doubtOf(c.Session.Dir); doubt != "" {
		warnings = append(warnings, sessionDirKey+": "+doubt)
	}
	return warnings
}

// doubtOf returns what is doubtful about a folder for sessions; empty for nothing.
func doubtOf(dir string) string {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return doubtOfParent(dir)
	case err != nil:
		return fmt.Sprintf("cannot look at the folder: %v; name one that the agent may write", err)
	case !info.IsDir():
		return dir + " is not a folder; name another, or remove it"
	case unix.Access(dir, unix.R_OK|unix.W_OK|unix.X_OK) != nil:
		return fmt.Sprintf("no right to read and write %s; change its owner, or name another folder", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Sprintf("other users may use %s, whose mode is %04o; run chmod 700 %[1]s", dir, info.Mode().Perm())
	}
	return ""
}

// doubtOfParent returns why a folder that does not exist cannot be made; empty if it can.
func doubtOfParent(dir string) string {
	parent := filepath.Dir(dir)
	switch info, err := os.Stat(parent); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("there is no folder %s to make %s in; make it, unless the service has it made (StateDirectory=)",
			parent, filepath.Base(dir))
	case err != nil:
		return fmt.Sprintf("cannot look at the folder above: %v; name a folder that the agent can make", err)
	case !info.IsDir():
		return fmt.Sprintf("%s is not a folder; name a folder that the agent can make", parent)
	case unix.Access(parent, unix.W_OK|unix.X_OK) != nil:
		return fmt.Sprintf("%s cannot be made: no right to write to %s; change its owner, or name another folder", dir, parent)
	}
	return ""
}
