package daemon

import (
	"fmt"
	"os"

	"github.com/stepagent/stepagent/agent/internal/agent/auditwriter"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

const mebibyte = 1 << 20

// openRecord begins the agent's own record as the config says; nil when it is off.
func (a *Agent) openRecord(c *config.Loaded) (*auditwriter.Writer, error) {
	if !c.Record.Enabled {
		return nil, nil
	}
	record, err := auditwriter.Open(a.recordOptions(c), a.options.Log)
	return record, recordProblem(c, err)
}

func (a *Agent) recordOptions(c *config.Loaded) auditwriter.Options {
	host, _ := os.Hostname() // a machine without a name is no obstacle
	return auditwriter.Options{
		Dir:       c.Record.Dir,
		FileBytes: int64(c.Record.FileMiB) * mebibyte, FileAge: c.Record.FileAge,
		TotalBytes: int64(c.Record.TotalMiB) * mebibyte, Queue: c.Record.Queue,
		Open: auditlog.Open{Format: auditlog.Format, Agent: a.options.Version, Host: host, Address: a.addresses(), Started: a.started},
	}
}

// recordProblem tells an error of the record's folder as one of the config.
func recordProblem(c *config.Loaded, err error) error {
	if err == nil {
		return nil
	}
	problem := fmt.Sprintf("%v; name a folder that the agent may write, or set record.enabled to false", err)
	return config.Problems{c.Problem("record.dir", problem)}
}

// A nextRecord is the record for another config: apply puts it in force, drop gives it up.
// Where both configs have one it is the same, so that one folder never has two writers.
type nextRecord struct {
	*auditwriter.Writer
	apply, drop func()
}

func (a *Agent) nextRecord(next *config.Loaded) (nextRecord, error) {
	nothing := func() {}
	switch {
	case next.Record == a.current().Record:
		return nextRecord{a.record, nothing, nothing}, nil
	case a.record != nil && next.Record.Enabled:
		change, err := a.record.Prepare(a.recordOptions(next))
		if err != nil {
			return nextRecord{}, recordProblem(next, err)
		}
		return nextRecord{a.record, change.Apply, change.Drop}, nil
	default:
		record, err := a.openRecord(next)
		return nextRecord{record, nothing, func() { closeRecord(record) }}, err
	}
}

// closeRecord writes what is left of a record that is out of use.
func closeRecord(record *auditwriter.Writer) {
	if record != nil {
		record.Close()
	}
}
