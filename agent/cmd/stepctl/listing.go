package main

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// A listFormat is how a command writes a list: as a table, or by flags as JSON lines or CSV.
type listFormat struct{ json, csv bool }

// register adds the flags of the format.
func (f *listFormat) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON lines instead of the table, one object for each line of it")
	cmd.Flags().BoolVar(&f.csv, "csv", false, "print CSV instead of the table, with a line of headings")
	cmd.MarkFlagsMutuallyExclusive("json", "csv")
}

// A column is one column of a list of T, and the member of the same name in JSON and CSV.
type column[T any] struct {
	// name is the heading in CSV and the member in JSON; the table shows it with spaces.
	name string
	// value is what JSON and CSV have: a string, a number, a bool, a time, or nil for none.
	value func(T) any
	// text is what the table has; nil for the value as it is. The table escapes it.
	text func(T) string
	// hidden columns are not in the table.
	hidden bool
}

// flushRows is the number of lines of a table that are laid out together, which bounds memory.
const flushRows = 1000

// writeList writes rows as they come, in the format. The first error of a row ends the list and is
// returned; what was written remains.
func writeList[T any](to io.Writer, f listFormat, columns []column[T], rows iter.Seq2[T, error]) error {
	out := bufio.NewWriter(to)
	var write func(T) error
	finish := func() error { return nil }
	switch {
	case f.json:
		write = func(row T) error { return writeObject(out, columns, row) }
	case f.csv:
		lines := csv.NewWriter(out)
		write = csvRows(lines, columns)
		finish = func() error { lines.Flush(); return lines.Error() }
	default:
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		write = tableRows(table, columns)
		finish = table.Flush
	}
	var failed error
	for row, err := range rows {
		if err != nil {
			failed = err
			break
		}
		if err := write(row); err != nil {
			return written(err)
		}
	}
	return errors.Join(failed, written(errors.Join(finish(), out.Flush())))
}

// writeObject writes a row as one line of JSON, with the members in the order of the columns.
func writeObject[T any](to io.Writer, columns []column[T], row T) error {
	line := jsontext.NewEncoder(to)
	if err := line.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, c := range columns {
		if err := line.WriteToken(jsontext.String(strings.ToValidUTF8(c.name, "\uFFFD"))); err != nil {
			return err
		}
		value := c.value(row)
		if at, ok := value.(time.Time); ok && at.IsZero() {
			value = nil
		}
		if err := json.MarshalEncode(line, value, json.Deterministic(true), jsontext.AllowInvalidUTF8(true)); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return line.WriteToken(jsontext.EndObject) // the encoder ends the line
}

// csvRows returns a function that writes rows as CSV, after a line with the names of the columns.
func csvRows[T any](lines *csv.Writer, columns []column[T]) func(T) error {
	headings := make([]string, len(columns))
	for i, c := range columns {
		headings[i] = c.name
	}
	err := lines.Write(headings)
	return func(row T) error {
		return errors.Join(err, lines.Write(csvCells(columns, row)))
	}
}

// csvCells returns the cells of a row.
func csvCells[T any](columns []column[T], row T) []string {
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = plainText(c.value(row))
	}
	return cells
}

// tableRows returns a function that writes rows as a table with headings.
func tableRows[T any](table *tabwriter.Writer, columns []column[T]) func(T) error {
	written := 0
	return func(row T) error {
		if written == 0 {
			writeCells(table, columns, func(c column[T]) string { return strings.ReplaceAll(c.name, "_", " ") })
		}
		writeCells(table, columns, func(c column[T]) string {
			text := c.text
			if text == nil {
				text = func(row T) string { return plainText(c.value(row)) }
			}
			return cmp.Or(logging.Clean(text(row)), "-")
		})
		if written++; written%flushRows == 0 {
			return table.Flush()
		}
		return nil
	}
}

// writeCells writes one line of a table. The tabwriter keeps its first error for Flush.
func writeCells[T any](table *tabwriter.Writer, columns []column[T], text func(column[T]) string) {
	var cells []string
	for _, c := range columns {
		if !c.hidden {
			cells = append(cells, text(c))
		}
	}
	_, _ = fmt.Fprintln(table, strings.Join(cells, "\t"))
}

// plainText returns a value as text; empty for none. Times are UTC.
func plainText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.UTC().Format(time.RFC3339)
	}
	return fmt.Sprint(value)
}

// allRows returns the rows for writeList.
func allRows[T any](rows []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// redrawList writes a list that is watched, with the time: on a terminal over the one before, elsewhere
// followed by an empty line.
func redrawList[T any](to io.Writer, f listFormat, columns []column[T], rows []T) error {
	heading := time.Now().Format(time.DateTime) + "\n"
	if isTerminal(to) {
		heading = "\x1b[H\x1b[2J" + heading // CUP and ED of ECMA-48
	}
	if _, err := io.WriteString(to, heading); err != nil {
		return written(err)
	}
	if err := writeList(to, f, columns, allRows(rows)); err != nil {
		return err
	}
	_, err := io.WriteString(to, "\n")
	return written(err)
}
