// Package signals catches, for stepagent serve, the signals whose default is to end the process.
//
// It does so while the packages of the program are initialized, most of which come after it and
// take longer than the start of many a program: until then a SIGHUP ends the process, and systemd
// takes that for a clean end (systemd.service(5), "clean exit") and does not start it again. What
// is left is the time until the Go runtime has its handlers; the unit has RestartForceExitStatus
// for that.
package signals

import (
	"os"
	"os/signal"
	"syscall"
)

// serve is the command that runs until it is told to stop. For any other the defaults are right:
// it ends when its terminal hangs up or the reader of its output has gone.
const serve = "serve"

// caught is what there was to catch before main was called.
var caught = catch(os.Args)

// A Caught has the signals that have come since the start of the program.
type Caught struct {
	// HangUps has one place: one reload is enough for all that wait.
	HangUps chan os.Signal
	// Pipes is filled and never read. That it is there makes a write to a pipe or a socket whose
	// reader has gone an error, also on stdout and stderr; see package os/signal. Plugins do not
	// inherit it, as they would inherit an ignored signal.
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

// Catch returns what has been caught since the start of the program, or begins to catch. That goes
// on until the process ends: the last line on stderr may be the one that has no reader.
func Catch() Caught {
	caught.notify()
	return caught
}
