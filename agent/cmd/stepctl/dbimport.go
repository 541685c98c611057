package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

func newDBImport() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "store step files as versions of procedures",
		Long: `import stores step files in the database, byte for byte. A procedure has the name of its file
without folder and ending, or that of --name. A file that differs from the newest version becomes the
next version; versions never change. A file that stepctl run would refuse is not stored, and is
reported as by stepctl check.
` + databaseHelp + `

Exit codes:
  0  every file is stored
  2  a file cannot be read or run, or the command line is wrong
  4  the database could not store a file`,
		Example: `  stepctl db import door.json --db runs.db
  stepctl db import procedures/*.json
  stepctl db import /tmp/new.json --name door`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return errors.New("name a step file")
			case name != "" && len(args) > 1:
				return fmt.Errorf("--name is of one procedure; name one step file, got %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := namedFiles(args, name)
			if err != nil {
				return err
			}
			return withDatabase(cmd, storing, func(ctx context.Context, db *database.DB) error {
				return importFiles(ctx, db, files, cmd.OutOrStdout(), cmd.ErrOrStderr())
			})
		},
		ValidArgsFunction: completeFiles(0, "json"),
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&name, "name", "", "`NAME` of the procedure (default: that of the file without its ending)")
	addDatabase(cmd)
	return cmd
}

// namedFiles returns the files with the names of their procedures, which must differ.
func namedFiles(paths []string, name string) ([]namedFile, error) {
	var files []namedFile
	known := map[string]string{}
	for _, path := range paths {
		file := namedFile{name, path}
		if name == "" {
			file.name = database.ProcedureName(path)
		}
		if err := database.CheckProcedureName(file.name); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if other, twice := known[file.name]; twice {
			return nil, fmt.Errorf("%s and %s are both named %s; import each with its own --name", other, path, file.name)
		}
		known[file.name] = path
		files = append(files, file)
	}
	return files, nil
}

// importFiles stores files. One that is wrong is reported, and does not keep the others from being
// stored.
func importFiles(ctx context.Context, db *database.DB, files []namedFile, stdout, stderr io.Writer) error {
	wrong := false
	for _, file := range files {
		content, err := stepfile.Read(file.path)
		if err == nil {
			_, findings := stepfile.Parse(file.path, content)
			err = stepfile.AsError(file.path, findings)
		}
		if err != nil {
			wrong = true
			writeProblem(stderr, err)
			continue
		}
		v, added, err := db.Import(ctx, file.name, content)
		if err != nil {
			return fmt.Errorf("%s: %w", file.path, err)
		}
		if err := writeVersion(stdout, v, added); err != nil {
			return err
		}
	}
	if wrong {
		return &exitError{code: exitUsage}
	}
	return nil
}

// writeVersion says which version a step file is now, and whether it was stored as that.
func writeVersion(stdout io.Writer, v database.Version, added bool) error {
	what := "stored"
	if !added {
		what = "unchanged"
	}
	_, err := fmt.Fprintf(stdout, "%s: %s, %s\n", logging.Clean(versionName(v)), what, phrase.Count(int(v.Steps), "step"))
	return written(err)
}

// writeProblem writes what is wrong with a file: that of a step file as stepctl check does.
func writeProblem(stderr io.Writer, err error) {
	var unsound *stepfile.Error
	if errors.As(err, &unsound) {
		_, _ = fmt.Fprintln(stderr, unsound)
		return
	}
	_, _ = fmt.Fprintf(stderr, "stepctl: %v\n", err) // the exit code reports it too
}
