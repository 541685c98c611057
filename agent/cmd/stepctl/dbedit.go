package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

func newDBEdit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "edit NAME[@VERSION]",
		Short: "edit a procedure and store the result as its next version",
		Long: `edit opens the newest version of a procedure, or the one that is named, in an editor, and stores
what is saved there as the next version. The editor is that of VISUAL, else of EDITOR, else editor,
vi or nano. A file that stepctl run would refuse is not stored: the mistakes are reported with their
places, and edit asks whether to edit again. What was typed is kept in a file then, whose name is
told. If nothing was changed, nothing is stored.
` + databaseHelp + `

Exit codes:
  0  the new version is stored, or nothing was changed
  2  there is no such procedure, the editor failed, or the text cannot be run
  4  the database could not store the text`,
		Example: `  stepctl db edit door
  EDITOR="code --wait" stepctl db edit door@3`,
		Args: oneVersion,
		RunE: func(cmd *cobra.Command, args []string) error {
			return editProcedure(cmd, args[0])
		},
		ValidArgsFunction: completeFromDatabase(1, procedureNames),
	}
	cmd.Flags().SortFlags = false
	addDatabase(cmd)
	return cmd
}

// editProcedure edits a version. The database is closed meanwhile, however long the user takes.
func editProcedure(cmd *cobra.Command, version string) error {
	var edited, newest database.Version
	var content []byte
	err := withDatabase(cmd, reading, func(ctx context.Context, db *database.DB) (err error) {
		if edited, content, err = storedVersion(ctx, db, version); err == nil {
			newest, _, err = db.Procedure(ctx, edited.Name, 0)
		}
		return err
	})
	if err != nil {
		return err
	}
	d, err := newDraft(content)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	text, err := d.edit(cmd.InOrStdin(), cmd.ErrOrStderr())
	if err != nil {
		return &exitError{exitUsage, d.kept(edited.Name, err)}
	}
	if bytes.Equal(text, content) {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "nothing was changed; no version is stored")
		return errors.Join(written(err), d.remove())
	}
	err = withDatabase(cmd, storing, func(ctx context.Context, db *database.DB) error {
		now, _, err := db.Procedure(ctx, edited.Name, 0)
		switch {
		case err != nil:
			return err
		case now.Version != newest.Version:
			return fmt.Errorf("%s was stored meanwhile; compare it with stepctl db diff %s", versionName(now), versionName(newest))
		}
		v, added, err := db.Import(ctx, edited.Name, text)
		if err != nil {
			return err
		}
		return errors.Join(writeVersion(cmd.OutOrStdout(), v, added), d.remove())
	})
	if err != nil && d.path != "" {
		return &exitError{codeOf(err, exitEvidence), d.kept(edited.Name, err)}
	}
	return err
}

// A draft is a file with the text that is edited. It is kept where it could be lost otherwise.
type draft struct {
	path  string // empty when it was removed
	first []byte // the text before the first edit
}

func newDraft(content []byte) (*draft, error) {
	file, err := os.CreateTemp("", "stepctl-*.json") // the ending tells the editor the format
	if err != nil {
		return nil, fmt.Errorf("cannot edit the procedure: %w", err)
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot edit the procedure: %w", err), os.Remove(file.Name()))
	}
	return &draft{file.Name(), content}, nil
}

// edit has the user edit the draft until it can be run, or until the user gives up.
func (d *draft) edit(answers io.Reader, stderr io.Writer) ([]byte, error) {
	lines := bufio.NewReader(answers)
	for {
		if err := editFile(d.path); err != nil {
			return nil, err
		}
		text, err := stepfile.Read(d.path)
		if err != nil {
			return nil, err
		}
		_, findings := stepfile.Parse(d.path, text)
		unsound := stepfile.AsError(d.path, findings)
		if unsound == nil || bytes.Equal(text, d.first) {
			return text, nil
		}
		writeProblem(stderr, unsound)
		if !asked(lines, stderr, "edit again? [Y/n] ") {
			return nil, errors.New("the procedure was not stored")
		}
	}
}

// asked asks a question of which yes is the default. No answer, at the end of the input, means no.
func asked(answers *bufio.Reader, to io.Writer, question string) bool {
	_, _ = io.WriteString(to, question) // without it there is no answer
	answer, err := answers.ReadString('\n')
	if err != nil {
		_, _ = io.WriteString(to, "\n")
		return false
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "", "y", "yes":
		return true
	}
	return false
}

// kept adds to an error where the text is; it removes a draft that was not changed.
func (d *draft) kept(name string, err error) error {
	if text, readErr := os.ReadFile(d.path); readErr == nil && bytes.Equal(text, d.first) {
		return errors.Join(err, d.remove())
	}
	return fmt.Errorf("%w; your text is kept, store it with: stepctl db import --name %s %s", err, name, d.path)
}

// remove removes the draft.
func (d *draft) remove() error {
	path := d.path
	d.path = ""
	return os.Remove(path)
}
