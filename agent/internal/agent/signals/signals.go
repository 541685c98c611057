// Package signals catches, for stepagent serve, the signals that end a process by default.
//
// It does so while the program's packages are initialized, because most of them are initialized later
// and take a while. Until then a SIGHUP ends the process, which systemd considers a clean exit
// (systemd.service(5)) and does not restart. For the time before the Go runtime has its handlers the
// unit has RestartForceExitStatus.
package signals

import (
	"os"
	"os/signal"
	"syscall"
)

// serve is the command that catches signals early. The defaults are right for all others: they end
// when their terminal hangs up or the reader of their output has gone.
const serve = "serve"

// caught has the signals since the initialization of the package.
var caught = catch(os.Args)

// A Caught holds the caught signals.
type Caught struct {
	// HangUps has capacity 1: one reload serves all that are pending.
	HangUps chan os.Signal
	// Pipes is filled and never read. Catching SIGPIPE makes a write to a pipe or socket without
	// a reader return an error, on stdout and stderr too; see package os/signal. Plugins do not
	// inherit that, as they would an ignored signal.
	Pipes chan os.Signal
}

func catch(args []string) Caught {
	c := Caught{HangUps: make(chan os.Signal, 1), Pipes: make(chan os.Signal, 1)}
	if len(args) > 1 && args[1] == serve {
		c.notify()
	}
	return c
}

func (c Caught) notify() {
	signal.Notify(c.HangUps, syscall.SIGHUP)
	signal.Notify(c.Pipes, syscall.SIGPIPE)
}

// Catch returns the signals caught since the start of the program, or begins to catch them. It never
// stops, since even the last line on stderr may have no reader.
func Catch() Caught {
	caught.notify()
	return caught
}
