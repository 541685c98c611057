package daemon

import (
	"fmt"
	"os"

	"github.com/stepagent/stepagent/agent/internal/config"
	"github.com/stepagent/stepagent/agent/internal/journal"
	"github.com/stepagent/stepagent/agent/internal/trail"
)

const mebibyte = 1 << 20

// openRecord begins the agent's own record as the config says; nil when it is off.
func (a *Agent) openRecord(c *config.Loaded) (*journal.Journal, error) {
	if !c.Record.Enabled {
		return nil, nil
	}
	host, _ := os.Hostname() // a machine without a name is no obstacle
	record, err := journal.Open(journal.Options{
		Dir:       c.Record.Dir,
		FileBytes: int64(c.Record.FileMiB) * mebibyte, FileAge: c.Record.FileAge,
		TotalBytes: int64(c.Record.TotalMiB) * mebibyte, Queue: c.Record.Queue,
		Open: trail.Open{Format: trail.Format, Agent: a.options.Version, Host: host, Address: a.addresses(), Started: a.started},
	}, a.options.Log)
	if err != nil {
		problem := fmt.Sprintf("%v; name a folder that the agent may write, or set record.enabled to false", err)
		return nil, config.Problems{c.Problem("record.dir", problem)}
	}
	return record, nil
}

// nextRecord returns the record for another config, which is the present one where nothing
// about it changes.
func (a *Agent) nextRecord(next *config.Loaded) (*journal.Journal, error) {
	if next.Record == a.current().Record {
		return a.record, nil
	}
	return a.openRecord(next)
}

// closeRecord writes what is left of a record that is out of use.
func closeRecord(record *journal.Journal) {
	if record != nil {
		record.Close()
	}
}
