package daemon

import (
	"fmt"
	"log/slog"

	"github.com/stepagent/stepagent/agent/internal/agent/auditwriter"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

const mebibyte = 1 << 20

// openRecord begins the agent's own record as the config says; nil when it is off.
func openRecord(c *config.Loaded, options func(*config.Loaded) auditwriter.Options, log *slog.Logger) (*auditwriter.Writer, error) {
	if !c.Record.Enabled {
		return nil, nil
	}
	record, err := auditwriter.Open(options(c), log)
	return record, recordProblem(c, err)
}

func (a *Agent) recordOptions(c *config.Loaded) auditwriter.Options {
	return auditwriter.Options{
		Dir:       c.Record.Dir,
		FileBytes: int64(c.Record.FileMiB) * mebibyte, FileAge: c.Record.FileAge,
		TotalBytes: int64(c.Record.TotalMiB) * mebibyte, Queue: c.Record.Queue,
		Open: a.recordHead(), Removing: a.fleet.removing,
	}
}

// recordProblem returns an error of the record's folder as a problem of the config.
func recordProblem(c *config.Loaded, err error) error {
	if err == nil {
		return nil
	}
	problem := fmt.Sprintf("%v; name a folder that the agent may write, or set record.enabled to false", err)
	return config.Problems{c.Problem("record.dir", problem)}
}

// A nextRecord is the record of another config: apply puts it in force, drop discards it.
// Where both configs have one it is the same, so that one folder never has two writers.
type nextRecord struct {
	*auditwriter.Writer
	apply, drop func()
}

// prepareRecord prepares the record of the next config beside the one in force.
func prepareRecord(inForce *auditwriter.Writer, old, next *config.Loaded, options func(*config.Loaded) auditwriter.Options, log *slog.Logger) (nextRecord, error) {
	nothing := func() {}
	switch {
	case next.Record == old.Record:
		return nextRecord{inForce, nothing, nothing}, nil
	case inForce != nil && next.Record.Enabled:
		change, err := inForce.Prepare(options(next))
		if err != nil {
			return nextRecord{}, recordProblem(next, err)
		}
		return nextRecord{inForce, change.Apply, change.Drop}, nil
	default:
		record, err := openRecord(next, options, log)
		return nextRecord{record, nothing, record.Close}, err
	}
}
