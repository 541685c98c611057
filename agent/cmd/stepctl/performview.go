package main

import (
	"io"

	"github.com/stepagent/stepagent/agent/internal/client/boards"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// A boardsView shows the runs against several boards as they happen. Its methods and those of its views
// may be called by several goroutines at the same time.
type boardsView interface {
	// of returns the view of the run against the board at an index.
	of(index int) view
	// suspend clears the view while write writes to stderr.
	suspend(write func())
	// end clears the view, after the last run.
	end()
}

// A boardsLines view writes the lines of boardLines, for a file or a pipe. What it writes to takes lines
// of several goroutines.
type boardsLines struct {
	lines
	list []boards.Board
}

func (v boardsLines) of(index int) view {
	return stepLines{boardLines{board: v.list[index].Name, to: v.to}}
}

func (boardsLines) end() {}

// A stepLines view has the lines of the steps, and not the result.
type stepLines struct{ boardLines }

func (stepLines) result(record.Run) {}

// boardEvents takes the lines of a board's record and writes each, an object, with the name of the board
// as its first member. The writer takes lines of several goroutines.
type boardEvents struct {
	member string // {"board":"NAME",
	to     io.Writer
}

func (b boardEvents) Write(line []byte) (int, error) {
	if _, err := b.to.Write(append([]byte(b.member), line[len("{"):]...)); err != nil {
		return 0, err
	}
	return len(line), nil
}
