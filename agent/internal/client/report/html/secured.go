package html

import (
	"fmt"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// secured says how the connections of a run were secured, each way in a line.
func secured(w *words, run record.Run) []string {
	var lines []string
	for _, t := range run.TLS {
		line := fmt.Sprintf(w.SecuredBy, t.Version, t.Server.Subject, t.Server.Issuer, t.Server.Serial, t.Server.NotAfter.Format(time.DateOnly))
		if t.ClientSubject != "" {
			line += fmt.Sprintf(w.SecuredClient, t.ClientSubject)
		}
		if t.KeyLog != "" {
			line += fmt.Sprintf(w.SecuredKeys, t.KeyLog)
		}
		lines = append(lines, logging.Clean(line))
	}
	return lines
}
