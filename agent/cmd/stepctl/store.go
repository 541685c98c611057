package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// storeFlags say what the database keeps about a run or load test besides its result.
type storeFlags struct {
	board  string
	labels []string
}

func (f *storeFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.board, "board", "", "`NAME` of the board in the database (default: the host)")
	f.registerLabels(cmd)
}

// registerLabels adds --label alone.
func (f *storeFlags) registerLabels(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.labels, "label", nil, "store `KEY=VALUE` with the run in the database; may be repeated")
}

// meta returns what is known of the run. The error is one of the command line.
func (f *storeFlags) meta(settings config.Client) (database.Meta, error) {
	if settings.DB == "" {
		if f.board != "" || len(f.labels) > 0 {
			return database.Meta{}, errors.New("--board and --label are kept in a database; name it with --db")
		}
		return database.Meta{}, nil
	}
	meta, err := f.described()
	if meta.Board == "" {
		meta.Board = settings.BareHost()
	}
	return meta, err
}

// described returns what the flags say. The error is one of the command line.
func (f *storeFlags) described() (database.Meta, error) {
	labels, err := parseLabels(f.labels)
	if err == nil && f.board != "" {
		err = database.CheckName("board", f.board)
	}
	return database.Meta{Board: f.board, Labels: labels}, err
}

// parseLabels reads labels written as KEY=VALUE.
func parseLabels(texts []string) (map[string]string, error) {
	labels := map[string]string{}
	for _, text := range texts {
		key, value, found := strings.Cut(text, "=")
		if !found || key == "" {
			return nil, fmt.Errorf("%q is no label; write KEY=VALUE", text)
		}
		if _, twice := labels[key]; twice {
			return nil, fmt.Errorf("the label %q is given twice; keep one", key)
		}
		labels[key] = value
	}
	return labels, database.CheckLabels(labels)
}

// hostName returns the name of this machine; empty if it has none.
func hostName() string {
	name, _ := os.Hostname()
	return name
}

// An idSource gives runs that begin at the same moment ids of their own: an id has few random digits. The zero
// value is ready, and it is safe for concurrent use.
type idSource struct {
	mu    sync.Mutex
	given map[string]bool // guarded by mu
}

// next returns an id for a run that starts at the time.
func (ids *idSource) next(started time.Time) string {
	ids.mu.Lock()
	defer ids.mu.Unlock()
	if ids.given == nil {
		ids.given = map[string]bool{}
	}
	for {
		if id := database.NewID(started); !ids.given[id] {
			ids.given[id] = true
			return id
		}
	}
}
