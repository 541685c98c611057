package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/boards"
)

// boardFlags say against which boards a procedure is performed, and how.
type boardFlags struct {
	named    []string // as boards.ParseFlag reads them
	file     string
	jobs     int
	failFast bool
	// list are the boards; empty for the one agent of --host and --port.
	list []boards.Board
}

func (f *boardFlags) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.StringArrayVar(&f.named, "board", nil, "board `NAME[=HOST[:PORT]]` to perform against (default: the host NAME and port 8080); may be repeated")
	set.StringVar(&f.file, "boards", "", "`FILE` with the names and addresses of the boards to perform against")
	set.IntVar(&f.jobs, "jobs", 0, "largest `NUMBER` of boards at the same time, 0 for all")
	set.BoolVar(&f.failFast, "fail-fast", false, "stop the other boards as soon as one cannot pass")
	completeFlag(cmd, "board", nil)
	completeFlag(cmd, "jobs", nil)
}

// checkJobs checks a value of --jobs.
func checkJobs(jobs int) error {
	if jobs < 0 {
		return fmt.Errorf("--jobs is %d; give 0 or a number from 1", jobs)
	}
	return nil
}

// chooseBoards reads the boards. A single --board NAME beside --host or --port only names that agent in
// the database.
func (f *runFlags) chooseBoards(cmd *cobra.Command) (err error) {
	changed := cmd.Flags().Changed
	oneAgent := changed("host") || changed("port")
	if changed("boards") && f.boards.file == "" {
		return errors.New("--boards names no file; name the boards file")
	}
	if f.boards.file == "" && len(f.boards.named) == 0 {
		return f.checkOneAgent(changed)
	}
	if oneAgent && f.boards.file == "" && len(f.boards.named) == 1 && !strings.Contains(f.boards.named[0], "=") {
		f.store.board = f.boards.named[0]
		return f.checkOneAgent(changed)
	}
	switch {
	case oneAgent:
		return errors.New("--host and --port are of one agent; give each board its address, as in --board NAME=HOST:PORT")
	case f.resume.path != "":
		return errors.New("--resume goes on with one run; leave out --board and --boards")
	}
	if err := checkJobs(f.boards.jobs); err != nil {
		return err
	}
	f.boards.list, err = boards.List(f.boards.file, f.boards.named)
	if err != nil && f.boards.file != "" {
		return &exitError{exitUsage, err}
	}
	if err == nil && len(f.boards.list) > 1 {
		err = f.checkNames()
	}
	return err
}

// checkOneAgent refuses what is for boards.
func (f *runFlags) checkOneAgent(changed func(flag string) bool) error {
	for _, flag := range []string{"jobs", "fail-fast"} {
		if changed(flag) {
			return fmt.Errorf("--%s is for several boards; name them with --board or --boards", flag)
		}
	}
	names := []namedFile{{"session", f.session}, {"record", f.record}, {"pcap", f.pcap}}
	for _, doc := range f.documents.requested() {
		names = append(names, namedFile{doc.flag, doc.path})
	}
	for _, name := range names {
		if strings.Contains(name.path, boardToken) {
			return fmt.Errorf("--%s has %s in its name, and no board is named; name boards with --board NAME=HOST:PORT or --boards", name.name, boardToken)
		}
	}
	return nil
}

// checkNames checks that boards do not share what only one of them can have.
func (f *runFlags) checkNames() error {
	for _, file := range []namedFile{{"record", f.record}, {"pcap", f.pcap}} {
		if file.path != "" && !strings.Contains(file.path, boardToken) {
			return fmt.Errorf("--%s %s is one file for %d boards; write %s in its name, as in %s",
				file.name, file.path, len(f.boards.list), boardToken, perBoard(file.path))
		}
	}
	if f.session != "" && !strings.Contains(f.session, boardToken) {
		return fmt.Errorf("--session %s is one session for %d boards; write %s in its name, or leave it out", f.session, len(f.boards.list), boardToken)
	}
	return nil
}

// at returns the flags of the run against one board.
func (f *runFlags) at(board boards.Board) (runFlags, error) {
	one := *f
	host, port, err := net.SplitHostPort(board.Address)
	if err == nil {
		one.settings.Port, err = strconv.Atoi(port)
	}
	one.settings.Host, one.store.board = host, board.Name
	for _, name := range []*string{&one.session, &one.record, &one.pcap} {
		*name = atBoard(*name, board.Name)
	}
	one.documents = f.documents.of(board.Name)
	return one, err
}
