package report

import (
	"fmt"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// Security says how the connections of a run were secured, each way in a line without a newline that
// is safe to print; none for plain TCP.
func Security(run record.Run) []string {
	var lines []string
	for _, t := range run.TLS {
		line := fmt.Sprintf("TLS %s; certificate of the agent: %s (issued by %s, serial %s, valid until %s)",
			t.Version, t.Server.Subject, t.Server.Issuer, t.Server.Serial, t.Server.NotAfter.Format(time.DateOnly))
		line += phrase.After("; of the client: ", t.ClientSubject) + phrase.After("; keys of the connections: ", t.KeyLog)
		lines = append(lines, logging.Clean(line))
	}
	return lines
}
